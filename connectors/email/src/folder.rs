//! The transport that needs no server: every mail is a file.

use std::io;
use std::path::{Path, PathBuf};

use scim_relay_sdk::connector::{Action, DeliveryError};
use tokio::fs;
use tokio::io::AsyncWriteExt as _;

use crate::compose::Mail;

/// Where the mails go. The folder itself is made when it is missing, the one above it is not: a
/// disk that is not mounted must not go unnoticed.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    /// Writes the mail under its Message-ID. A mail that is there was written by an earlier
    /// attempt, so a repeat changes nothing.
    pub(crate) async fn put(&self, mail: &Mail) -> Result<Action, DeliveryError> {
        let path = self.0.join(format!("{}.eml", mail.message_id));
        if fs::try_exists(&path).await.map_err(|error| self.failed(error))? {
            return Ok(Action::Unchanged);
        }
        let partial = self.0.join(format!(".{}.tmp", mail.message_id));
        let written = async {
            self.make().await?;
            write(&partial, &mail.formatted()).await?;
            fs::rename(&partial, &path).await?;
            fs::File::open(&self.0).await?.sync_all().await
        };
        written.await.map_err(|error| self.failed(error))?;
        Ok(Action::Sent)
    }

    /// Writes a file and takes it away again.
    pub(crate) async fn visit(&self) -> Result<String, DeliveryError> {
        let probe = self.0.join(".scim-relay-probe.tmp");
        let visit = async {
            self.make().await?;
            write(&probe, b"").await?;
            fs::remove_file(&probe).await
        };
        visit.await.map_err(|error| self.failed(error))?;
        Ok(format!("mails can be written to {}", self.0.display()))
    }

    async fn make(&self) -> io::Result<()> {
        match fs::create_dir(&self.0).await {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result,
        }
    }

    fn failed(&self, error: io::Error) -> DeliveryError {
        let what = format!(
            "the folder {} cannot be written to; make it, and let the daemon's user write there",
            self.0.display()
        );
        DeliveryError::unreachable(what, error)
    }
}

async fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path).await?;
    file.write_all(bytes).await?;
    file.sync_all().await
}
