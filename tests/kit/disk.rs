//! A disk that a test looks at and breaks: a small library (disk.c), preloaded into the relay,
//! writes down what becomes of the files in the data directory, and fails as it is told.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::recording::Recording;

/// What an operation is refused with, by Linux's numbers.
const EIO: u32 = 5;
const ENOSPC: u32 = 28;
const EROFS: u32 = 30;

/// How the disk fails.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// No room for more, anywhere.
    Full,
    /// Room for half of a write to the WAL, and none for the rest of it.
    AlmostFull,
    /// Mounted anew for reading only.
    ReadOnly,
    /// Whatever is written comes back as an error.
    Write,
    /// Syncs of one file fail.
    Sync(&'static str),
    /// Reads of one file fail.
    Read(&'static str),
    /// Each sync takes so many milliseconds.
    Slow(u32),
}

impl Fault {
    /// As the library reads it: the operations, the error, how many to let pass first, how many to
    /// strike (-1: all), the file.
    fn line(self) -> String {
        match self {
            Self::Full => format!("create,write {ENOSPC} 0 -1 *"),
            Self::AlmostFull => format!("short {ENOSPC} 0 -1 relay.db-wal"),
            Self::ReadOnly => format!("create,open,write,shrink,rename,unlink {EROFS} 0 -1 *"),
            Self::Write => format!("write {EIO} 0 -1 *"),
            Self::Sync(file) => format!("sync {EIO} 0 -1 {file}"),
            Self::Read(file) => format!("read {EIO} 0 -1 {file}"),
            Self::Slow(milliseconds) => format!("slow {milliseconds} 0 -1 *"),
        }
    }
}

/// The disk below one relay's data directory; it outlives the processes that use it.
pub(crate) struct Disk(TempDir);

impl Disk {
    /// A sound one. Needs a C compiler, as SQLite does.
    pub(crate) fn new() -> Self {
        let disk = Self(tempfile::tempdir().expect("a temporary folder"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kit/disk.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([disk.path("disk.so"), source])
            .args(["-ldl", "-pthread"])
            .output()
            .expect("there is a C compiler");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        disk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Where it writes down what happens.
    pub(crate) fn record(&self) -> PathBuf {
        self.path("record")
    }

    /// What the relay is started with.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", self.path("disk.so").into()),
            ("RELAY_DISK_RECORD", self.record().into()),
            ("RELAY_DISK_FAULT", self.path("fault").into()),
        ]
    }

    /// Fails like this from now on.
    pub(crate) fn fail(&self, fault: Fault) {
        // In one piece, since the relay reads it at any time.
        fs::write(self.path("next"), fault.line()).expect("a temporary file can be written");
        fs::rename(self.path("next"), self.path("fault")).expect("and renamed");
    }

    /// Is sound again.
    pub(crate) fn heal(&self) {
        fs::remove_file(self.path("fault")).expect("it failed");
    }

    /// What has happened until now.
    pub(crate) fn recording(&self) -> Recording {
        Recording::read(&fs::read(self.record()).expect("something was written"))
    }
}
