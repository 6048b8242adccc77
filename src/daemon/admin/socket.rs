//! The socket's place in the file system: taken from nobody who is alive, for owner and group
//! alone from its first moment, and given up at the end.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// A socket that listens.
pub(super) struct Bound {
    listener: UnixListener,
    place: Place,
}

/// Where it is, and which file it is there.
pub(super) struct Place {
    path: PathBuf,
    inode: u64,
}

impl Bound {
    /// Binds at `path`. A socket on which nobody answers is what a killed daemon left behind, and
    /// is replaced.
    pub(super) async fn new(path: &Path) -> io::Result<Self> {
        match UnixStream::connect(path).await {
            Ok(_) => {
                return Err(io::Error::new(ErrorKind::AddrInUse, "a daemon answers on it already"));
            }
            // Nobody listens: there is no such file, or a stale one.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {}
            Err(error) => return Err(error),
        }
        let is_socket = |file: fs::Metadata| file.file_type().is_socket();
        if fs::symlink_metadata(path).is_ok_and(|file| !is_socket(file)) {
            return Err(io::Error::new(
                ErrorKind::AlreadyExists,
                "a file that is no socket is there",
            ));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
        // A socket gets its mode from the process's umask. Made in a folder of its own that only
        // its owner may enter, and then moved, it never is where others could reach it with
        // another mode. The names are short because a socket's path is (108 bytes, unix(7)).
        let hidden = tempfile::Builder::new().prefix(".a").rand_bytes(6).tempdir_in(folder)?;
        let first = hidden.path().join("s");
        let listener = UnixListener::bind(&first)?;
        fs::set_permissions(&first, Permissions::from_mode(0o660))?;
        let inode = fs::symlink_metadata(&first)?.ino();
        fs::rename(&first, path)?;
        Ok(Self { listener, place: Place { path: path.to_owned(), inode } })
    }

    pub(super) fn split(self) -> (UnixListener, Place) {
        (self.listener, self.place)
    }
}

impl Place {
    /// Removes the socket, unless another daemon has taken the place since.
    pub(super) fn remove(&self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(socket = %self.path.display(), %error, "the admin socket stays behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_for_owner_and_group_and_leaves_nothing_else_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/admin.sock");
        let (_listener, place) = Bound::new(&path).await.unwrap().split();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        UnixStream::connect(&path).await.unwrap();
        place.remove();
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        drop(Bound::new(&path).await.unwrap());
        assert!(path.exists());
        let (_listener, place) = Bound::new(&path).await.unwrap().split();
        let refused = Bound::new(&path).await.err().map(|error| error.kind());
        assert_eq!(refused, Some(ErrorKind::AddrInUse));
        assert!(path.exists());
        place.remove();
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        fs::write(&path, "precious").unwrap();
        // The kernel says "connection refused" about a plain file, too.
        let refused = Bound::new(&path).await.err().map(|error| error.kind());
        assert_eq!(refused, Some(ErrorKind::AlreadyExists));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn the_successors_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let (listener, place) = Bound::new(&path).await.unwrap().split();
        drop(listener);
        let successor = Bound::new(&path).await.unwrap();
        place.remove();
        UnixStream::connect(&path).await.unwrap();
        drop(successor);
    }
}
