//! The Python packages that the judges are.
//!
//! Needs `python3` with `venv`, and PyPI the first time.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

const REQUIREMENTS: &str = include_str!("requirements.txt");

/// The commands that the required packages bring. The first test to ask installs them, the others
/// wait for that; other requirements make it anew.
pub(crate) fn commands() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("judges");
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let installed = folder.join("requirements.txt");
    if fs::read_to_string(&installed).is_ok_and(|text| text == REQUIREMENTS) {
        return folder.join("bin");
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
    let wanted = folder.with_extension("txt");
    fs::write(&wanted, REQUIREMENTS).unwrap();
    let pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--requirement"];
    run(Command::new(folder.join("bin/python")).args(pip).arg(&wanted));
    // Last, so that an installation that was cut off is made again.
    fs::rename(wanted, installed).unwrap();
    folder.join("bin")
}

fn run(command: &mut Command) {
    let status = command.status().expect("python3 with venv is needed for these tests");
    assert!(status.success(), "{command:?} failed");
}
