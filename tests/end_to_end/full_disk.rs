//! A disk without room: refused honestly, and well again by itself.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use crate::kit::load::Load;
use crate::kit::relay::Setup;
use crate::kit::targets::webhook;
use crate::kit::until;
use crate::kit::webhooks::Webhooks;

/// A small disk of its own, in memory; `None` where this user may not mount one.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount() -> Option<Self> {
        let disk = Self(tempfile::tempdir().unwrap());
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
            .arg(disk.0.path())
            .output();
        mounted.is_ok_and(|output| output.status.success()).then_some(disk)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let filler = fs::write(self.path().join("filler"), vec![1; 32 << 20]);
        assert!(filler.is_err(), "the disk is small");
    }

    fn empty(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.0.path()).status());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_loses_none_and_heals_by_itself() {
    let Some(disk) = Disk::mount() else {
        // Not by `println!`, which a passing test says to nobody.
        writeln!(std::io::stderr(), "left out: only root may mount a small disk to fill").unwrap();
        return;
    };
    let hooks = Webhooks::start().await;
    let relay =
        Setup::new().connector("events", webhook(&hooks, "")).data(disk.path()).start().await;
    let provider = relay.provider("lillevik");
    let ada = provider.hire("ada").await;
    let load = Load::start(&provider);
    until("some is written", async || load.writes() >= 50).await;

    disk.fill();
    until("it is not ready", async || relay.readiness().await == Some(503)).await;
    // What a commit frees may just have made room for this one.
    until("a write is refused", async || {
        let answer = provider.post("Users", crate::kit::provider::person("late")).await;
        if answer.status == 503 {
            assert!(answer.headers.contains_key("retry-after"));
            assert_eq!(answer.body["status"], "503");
        }
        answer.status == 503
    })
    .await;
    provider.get(&format!("Users/{ada}")).await.expect(200);
    // What is delivered when there is room again must not wait for the next reload.
    relay.signal("-HUP");

    disk.empty();
    until("it is ready again", async || relay.readiness().await == Some(200)).await;
    let before = load.writes();
    until("writes go on", async || load.writes() >= before + 50).await;
    let ledger = load.stop().await;
    relay.settled().await;
    provider.delete(&format!("Users/{ada}")).await.expect(204);
    ledger.check(&provider, None, None).await;
    assert!(hooks.story("ada").contains(&"user.created".to_owned()));
}
