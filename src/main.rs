//! The program `scim-relay`: the daemon and the commands that talk to it.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    // One provider for whatever speaks TLS in this process.
    let installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    installed.expect("nothing was installed before");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("the operating system gives threads and timers");
    runtime.block_on(cli::main())
}
