//! The demonstration's folder: a whole configuration to read and to take from, and what arrives.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use scim_relay::ids;

/// The organization that the demonstration has.
pub(super) const ORGANIZATION: &str = "lillevik";

/// A Unix socket's path has room for so much (unix(7)).
const LONGEST_SOCKET: usize = 107;

pub(super) struct Folder(PathBuf);

/// What the receiver shares with the relay.
pub(super) struct Secrets {
    /// `whsec_...`, which events are signed with.
    pub(super) signing: String,
    /// The whole `authorization` header of the REST calls.
    pub(super) authorization: String,
}

impl Folder {
    /// Makes the folder that was named, or a temporary one. It is never removed by us.
    pub(super) fn make(named: Option<&Path>) -> Result<Self> {
        let path = match named {
            Some(path) => named_folder(path)?,
            None => tempfile::Builder::new()
                .prefix("scim-relay-demo-")
                .tempdir()
                .context("cannot make a temporary folder; name one with --folder DIR")?
                .keep(),
        };
        let folder = Self(path);
        let length = folder.socket().as_os_str().len();
        if length > LONGEST_SOCKET {
            bail!(
                "the path {} is too long for the socket in it; name a shorter one with --folder DIR",
                folder.0.display()
            );
        }
        for part in ["connectors.d", "secrets", "state", "mails", "received"] {
            let part = folder.0.join(part);
            fs::create_dir(&part).with_context(|| format!("cannot make {}", part.display()))?;
        }
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn config(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.0.join("directory.ldif")
    }

    pub(super) fn mails(&self) -> PathBuf {
        self.0.join("mails")
    }

    pub(super) fn received(&self) -> PathBuf {
        self.0.join("received")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.0.join("relay.log")
    }

    fn socket(&self) -> PathBuf {
        self.0.join("admin.sock")
    }

    /// Makes up secrets and keeps them where only their owner reads them.
    pub(super) fn secrets(&self) -> Result<Secrets> {
        let secrets = Secrets {
            signing: format!("whsec_{}", STANDARD.encode(ids::secret_bytes::<32>())),
            authorization: format!("Bearer {}", URL_SAFE_NO_PAD.encode(ids::secret_bytes::<24>())),
        };
        self.write("secrets/events", &secrets.signing, 0o600)?;
        self.write("secrets/building", &secrets.authorization, 0o600)?;
        Ok(secrets)
    }

    /// Writes the main file and the connectors' files.
    pub(super) fn configure(
        &self,
        scim: SocketAddr,
        console: SocketAddr,
        door: SocketAddr,
    ) -> Result<()> {
        let fill = |text: &str| {
            text.replace("@scim@", &scim.to_string())
                .replace("@console@", &console.to_string())
                .replace("@door@", &door.to_string())
                .replace("@organization@", ORGANIZATION)
        };
        for (file, text) in [
            ("config.toml", MAIN),
            ("connectors.d/directory.toml", DIRECTORY),
            ("connectors.d/building.toml", BUILDING),
            ("connectors.d/events.toml", EVENTS),
            ("connectors.d/welcome.toml", WELCOME),
        ] {
            self.write(file, &fill(text), 0o644)?;
        }
        Ok(())
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> Result<()> {
        let path = self.0.join(name);
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

fn named_folder(path: &Path) -> Result<PathBuf> {
    fs::create_dir_all(path)
        .with_context(|| format!("cannot make the folder {}", path.display()))?;
    let mut entries = fs::read_dir(path)
        .with_context(|| format!("cannot look into the folder {}", path.display()))?;
    if entries.next().is_some() {
        bail!("{} is not empty; name a new folder, or remove what is in it", path.display());
    }
    // The paths that are shown at the end are to be of use from anywhere.
    fs::canonicalize(path).with_context(|| format!("cannot find the folder {}", path.display()))
}

/// Ports of this machine that nobody has just now. They stand in the configuration, so that
/// `serve` finds the same ones.
pub(super) fn free_ports() -> Result<[SocketAddr; 2]> {
    let listen = || TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0));
    let found = || -> std::io::Result<[SocketAddr; 2]> {
        // Both are held until both are known, or they could be the same one.
        let (one, other) = (listen()?, listen()?);
        Ok([one.local_addr()?, other.local_addr()?])
    };
    found().context("cannot listen on this machine (127.0.0.1)")
}

const MAIN: &str = r#"# What `scim-relay demo` ran with. It is a whole configuration, to read and to take from:
#
#     scim-relay --config config.toml check
#     scim-relay --config config.toml serve

public_url = "http://@scim@"
data_dir = "state"

[listener]
address = "@scim@"
# The demonstration pushes in seconds what a provider takes an hour for.
rate_limit = { per_second = 10000, burst = 10000 }

[console]
address = "@console@"

[admin]
socket = "admin.sock"

[organizations.@organization@]
name = "Lillevik skole"
locale = "nb"
"#;

const DIRECTORY: &str = r#"# The school's directory: here a file of LDIF change records. For a real one, put this in the place
# of `url`:
#
#     url = "ldaps://dir.lillevik.example"
#     bind_dn = "cn=scim-relay,dc=lillevik,dc=example"
#     bind_password = { credential = "ldap" }

# Guests get no account.
[scope]
users = 'userType ne "guest"'
groups = 'displayName sw "class-"'

[ldap]
url = "ldif:../directory.ldif"

[ldap.users]
dn = "uid={{ userName }},ou=people,dc=lillevik,dc=example"
# Whoever leaves and comes back gets the entry back that they had.
correlate = ["employeeNumber"]

[ldap.users.attributes]
uid = "{{ userName }}"
cn = "{{ displayName }}"
givenName = "{{ name.givenName }}"
sn = "{{ name.familyName }}"
mail = "{{ email }}"
employeeNumber = "{{ externalId }}"
employeeType = "{{ userType }}"
preferredLanguage = "{{ preferredLanguage }}"
physicalDeliveryOfficeName = "{{ building.buildingId }}"

[ldap.users.deprovision]
deactivate = "disable"
delete = "move"
move_to = "ou=leavers,dc=lillevik,dc=example"
purge_after = "90 days"

[ldap.groups]
dn = "cn={{ displayName }},ou=groups,dc=lillevik,dc=example"
"#;

const BUILDING: &str = r#"# The building-access system, by its own REST interface: who may open which building's doors. The
# demonstration plays it on this machine.

[scope]
users = "active eq true"

# A demonstration cannot wait for long.
[retry]
first = "1s"
longest = "2s"

[webhook]
headers = { authorization = { file = "../secrets/building" } }

[webhook.rest.create]
method = "PUT"
url = "http://@door@/people/{{ externalId }}"
body = """
{
  "name": {{ displayName | tojson }},
  "building": {{ building.buildingId | tojson }},
  "language": {{ preferredLanguage | tojson }},
  "access": true
}
"""

[webhook.rest.deactivate]
method = "PATCH"
url = "http://@door@/people/{{ externalId }}"
body = '{ "access": false }'

[webhook.rest.delete]
method = "DELETE"
url = "http://@door@/people/{{ externalId }}"
"#;

const EVENTS: &str = r#"# Signed events about pupils and their classes, one POST for each change (Standard Webhooks).

[scope]
users = 'userType eq "student" and active eq true'
groups = 'displayName sw "class-"'

[webhook]
url = "http://@door@/hooks/school"
secret = { file = "../secrets/events" }
events = ["user.*", "group.*"]
"#;

const WELCOME: &str = r#"# A welcome for everybody, once, in their language, or in the school's where there is no text in
# theirs. Here the mails are files; for a mail server, put this in the place of `transport` and
# `folder`:
#
#     url = "smtp://mail.lillevik.example:587"
#     username = "scim-relay"
#     password = { credential = "smtp" }

[email]
transport = "file"
folder = "../mails"
from = "Lillevik skole <it@lillevik.example>"
"#;
