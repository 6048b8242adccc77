//! A real OpenLDAP server for one test: its own folder, ports, certificates and data, and gone
//! when it is dropped. What tests look at and put there goes through OpenLDAP's own tools, so that
//! nothing of ours vouches for itself.
//!
//! Needs `slapd` and `ldap-utils`.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

pub(crate) const SUFFIX: &str = "dc=example,dc=org";
pub(crate) const RELAY: &str = "cn=relay,dc=example,dc=org";
pub(crate) const RELAY_PASSWORD: &str = "relaysecret";
pub(crate) const ADMIN: &str = "cn=admin,dc=example,dc=org";
const ADMIN_PASSWORD: &str = "adminsecret";

/// What may differ between servers.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Load the password policy.
    pub(crate) ppolicy: bool,
    /// Let the server keep references to renamed and deleted entries right.
    pub(crate) refint: bool,
    /// `limits` for everybody who signs in.
    pub(crate) limits: &'static str,
    /// Demand protection before a bind.
    pub(crate) demand_tls: bool,
    /// Show a certificate that ended on 3 February 2021.
    pub(crate) expired: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ppolicy: true,
            refint: false,
            limits: "size=unlimited",
            demand_tls: false,
            expired: false,
        }
    }
}

pub(crate) struct Slapd {
    folder: TempDir,
    process: Option<Child>,
    port: u16,
    tls_port: u16,
}

/// An entry as `ldapsearch` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) dn: String,
    pub(crate) attributes: Vec<(String, String)>,
}

impl Shown {
    /// The attribute's values, sorted.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let held = self.attributes.iter().filter(|(held, _)| held.eq_ignore_ascii_case(name));
        let mut values: Vec<&str> = held.map(|(_, value)| value.as_str()).collect();
        values.sort_unstable();
        values
    }
}

impl Slapd {
    pub(crate) async fn start() -> Self {
        Self::start_with(&Options::default()).await
    }

    pub(crate) async fn start_with(options: &Options) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (port, tls_port) = free_ports();
        let mut slapd = Self { folder, process: None, port, tls_port };
        slapd.write_certificates(options);
        fs::create_dir(slapd.path("db")).expect("a folder for the database");
        fs::write(slapd.path("slapd.conf"), slapd.configuration(options)).expect("slapd.conf");
        let policy = if options.ppolicy { POLICY } else { "" };
        fs::write(slapd.path("init.ldif"), format!("{INIT}{policy}")).expect("init.ldif");
        let loaded = Command::new("/usr/sbin/slapadd")
            .args(["-q", "-f"])
            .arg(slapd.path("slapd.conf"))
            .arg("-l")
            .arg(slapd.path("init.ldif"))
            .output()
            .expect("slapadd runs; install slapd");
        assert!(loaded.status.success(), "slapadd: {}", String::from_utf8_lossy(&loaded.stderr));
        slapd.run().await;
        slapd
    }

    /// Starts the server on the data it has.
    pub(crate) async fn run(&mut self) {
        let log = fs::File::create(self.path("log")).expect("a log");
        let addresses = format!(
            "ldap://127.0.0.1:{0} ldaps://127.0.0.1:{1} ldaps://[::1]:{1}",
            self.port, self.tls_port
        );
        let child = Command::new("/usr/sbin/slapd")
            .args(["-d", "0", "-h", &addresses, "-f"])
            .arg(self.path("slapd.conf"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("slapd runs; install slapd");
        self.process = Some(child);
        for _ in 0..500 {
            if self.tool("ldapsearch", &["-s", "base", "-b", ""], "").status.success() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        panic!("slapd did not start: {log}");
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.process.take() {
            child.kill().expect("slapd can be killed");
            child.wait().expect("slapd ends");
        }
    }

    /// The server takes connections and answers nothing.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
        // Each of its threads stops when it gets to it, and answers until then.
        let id = self.process.as_ref().expect("slapd runs").id();
        let threads = PathBuf::from(format!("/proc/{id}/task"));
        let stopped = |thread: std::io::Result<fs::DirEntry>| {
            let file = thread.expect("a thread").path().join("stat");
            // One that has ended meanwhile answers nothing either.
            let Ok(state) = fs::read_to_string(file) else { return true };
            let (_, state) = state.rsplit_once(") ").expect("its name is in brackets");
            state.starts_with('T')
        };
        while !fs::read_dir(&threads).expect("Linux tells").all(stopped) {
            std::thread::yield_now();
        }
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.as_ref().expect("slapd runs").id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("kill runs");
        assert!(sent.success());
    }

    pub(crate) fn plain_url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    pub(crate) fn tls_url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.tls_port)
    }

    pub(crate) fn tls_url_ipv6(&self) -> String {
        format!("ldaps://[::1]:{}", self.tls_port)
    }

    /// The authority that signed the server's certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Every entry below the base that matches, with all attributes, operational ones too.
    pub(crate) fn search(&self, base: &str, filter: &str) -> Vec<Shown> {
        let found = self.tool("ldapsearch", &["-b", base, filter, "*", "+"], "");
        assert!(
            matches!(found.status.code(), Some(0 | 32)),
            "ldapsearch: {}",
            String::from_utf8_lossy(&found.stderr)
        );
        parse(&String::from_utf8(found.stdout).expect("LDIF is ASCII"))
    }

    /// The one entry that matches.
    pub(crate) fn one(&self, filter: &str) -> Shown {
        let mut found = self.search(SUFFIX, filter);
        assert_eq!(found.len(), 1, "{filter} finds {found:?}");
        found.remove(0)
    }

    /// Carries out change records as the administrator.
    pub(crate) fn apply(&self, ldif: &str) {
        let done = self.tool("ldapmodify", &[], ldif);
        assert!(done.status.success(), "ldapmodify: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Adds a person by hand.
    pub(crate) fn add_person(&self, uid: &str, more: &str) {
        self.apply(&format!(
            "dn: uid={uid},ou=people,{SUFFIX}\nchangetype: add\nobjectClass: inetOrgPerson\n\
             uid: {uid}\ncn: {uid}\nsn: {uid}\n{more}"
        ));
    }

    /// Whether somebody can sign in.
    pub(crate) fn can_bind(&self, dn: &str, password: &str) -> bool {
        let done = Command::new("ldapwhoami")
            .args(["-x", "-H", &self.plain_url(), "-D", dn, "-w", password])
            .output()
            .expect("ldapwhoami runs; install ldap-utils");
        done.status.success()
    }

    fn tool(&self, name: &str, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(name)
            // An expired certificate is some tests' subject.
            .env("LDAPTLS_REQCERT", "never")
            .args(["-x", "-H", &self.tls_url(), "-D", ADMIN, "-w", ADMIN_PASSWORD])
            .args(if name == "ldapsearch" {
                &["-LLL", "-o", "ldif-wrap=no", "-z", "none"][..]
            } else {
                &[]
            })
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool runs; install ldap-utils");
        let mut stdin = child.stdin.take().expect("its input is ours");
        stdin.write_all(input.as_bytes()).expect("it reads its input");
        drop(stdin);
        child.wait_with_output().expect("the tool ends")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_certificates(&self, options: &Options) {
        let ca = Authority::new("the directory's own CA");
        fs::write(self.path("ca.pem"), ca.certificate()).expect("ca.pem");
        let (certificate, key) = ca.sign(&["localhost", "127.0.0.1", "::1"], options.expired);
        fs::write(self.path("srv.pem"), certificate).expect("srv.pem");
        fs::write(self.path("srv.key"), key).expect("srv.key");
    }

    fn configuration(&self, options: &Options) -> String {
        let folder = self.folder.path().display();
        let mut text = String::new();
        for schema in ["core", "cosine", "nis", "inetorgperson"] {
            writeln!(text, "include /etc/ldap/schema/{schema}.schema").expect("text");
        }
        let _ = write!(
            text,
            "pidfile {folder}/slapd.pid\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
             moduleload refint\n{}\
             TLSCACertificateFile {folder}/ca.pem\nTLSCertificateFile {folder}/srv.pem\n\
             TLSCertificateKeyFile {folder}/srv.key\n{}\
             database mdb\nsuffix \"{SUFFIX}\"\nrootdn \"{ADMIN}\"\nrootpw {ADMIN_PASSWORD}\n\
             directory {folder}/db\nmaxsize 268435456\ndbnosync\n\
             index objectClass,uid,mail,employeeNumber,member,entryUUID eq\nlimits users {}\n\
             access to attrs=userPassword by dn.exact=\"{RELAY}\" write by anonymous auth by * none\n\
             {}access to * by users read by * none\n",
            if options.ppolicy { "moduleload ppolicy\n" } else { "" },
            if options.demand_tls { "security simple_bind=128\n" } else { "" },
            options.limits,
            // What the README tells an administrator to grant, and no more.
            ["people", "leavers", "groups"]
                .map(|part| format!(
                    "access to dn.subtree=\"ou={part},{SUFFIX}\"\n  \
                     by dn.exact=\"{RELAY}\" write\n  by * break\n"
                ))
                .concat(),
        );
        if options.refint {
            let _ = write!(
                text,
                "overlay refint\nrefint_attributes member\nrefint_nothing \"{ADMIN}\"\n"
            );
        }
        if options.ppolicy {
            let _ = write!(
                text,
                "overlay ppolicy\nppolicy_default \"cn=default,ou=policies,{SUFFIX}\"\n"
            );
        }
        text
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A certificate authority made for one test.
pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { params, key, pem }
    }

    pub(crate) fn certificate(&self) -> &str {
        &self.pem
    }

    /// A server's certificate and key for these names and addresses.
    fn sign(&self, names: &[&str], expired: bool) -> (String, String) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(names).expect("names a certificate can have");
        if expired {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 2, 3);
        }
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }
}

/// Two ports nobody listens on now.
fn free_ports() -> (u16, u16) {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let [one, other] = listeners.map(|one| one.local_addr().expect("its address").port());
    (one, other)
}

fn parse(ldif: &str) -> Vec<Shown> {
    let mut entries: Vec<Shown> = Vec::new();
    for line in ldif.lines() {
        let Some((name, rest)) = line.split_once(':') else { continue };
        let value = match rest.strip_prefix(':') {
            Some(encoded) => {
                let bytes = STANDARD.decode(encoded.trim()).expect("base64");
                String::from_utf8_lossy(&bytes).into_owned()
            }
            None => rest.trim_start().to_owned(),
        };
        match (name, entries.last_mut()) {
            ("dn", _) => entries.push(Shown { dn: value, attributes: Vec::new() }),
            (_, Some(entry)) => entry.attributes.push((name.to_owned(), value)),
            (_, None) => {}
        }
    }
    entries
}

const INIT: &str = "\
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: ou=leavers,dc=example,dc=org
objectClass: organizationalUnit
ou: leavers

dn: ou=groups,dc=example,dc=org
objectClass: organizationalUnit
ou: groups

dn: cn=relay,dc=example,dc=org
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: relay
userPassword: relaysecret

";

const POLICY: &str = "\
dn: ou=policies,dc=example,dc=org
objectClass: organizationalUnit
ou: policies

dn: cn=default,ou=policies,dc=example,dc=org
objectClass: person
objectClass: pwdPolicy
cn: default
sn: default
pwdAttribute: userPassword
pwdMinLength: 8
pwdCheckQuality: 2
pwdMaxFailure: 3
pwdLockout: TRUE

";
