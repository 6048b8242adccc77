//! Getting there: protection, certificates, signing in, and servers that stop or fall silent.

use std::time::{Duration, Instant};

use scim_relay_sdk::connector::{Action, DeliveryError};
use scim_relay_sdk::testing::{ada, present};

use crate::kit::{Target, WorkExt as _, with};
use crate::slapd::{Authority, Options, RELAY, Slapd};

#[track_caller]
fn credentials<T: std::fmt::Debug>(result: Result<T, DeliveryError>) -> String {
    match result {
        Err(error @ DeliveryError::Credentials { .. }) => error.chain(),
        other => panic!("our credentials or the configuration are to blame: {other:?}"),
    }
}

#[track_caller]
fn unreachable<T: std::fmt::Debug>(result: Result<T, DeliveryError>) -> String {
    match result {
        Err(error @ DeliveryError::Unreachable { .. }) => error.chain(),
        other => panic!("the server cannot be reached: {other:?}"),
    }
}

#[tokio::test]
async fn a_private_authority_is_believed_over_tls_and_starttls() {
    let slapd = Slapd::start_with(&Options { demand_tls: true, ..Options::default() }).await;
    let ca = format!("ca = \"{}\"\n", slapd.ca().display());
    for (url, more) in [
        (slapd.tls_url(), ca.clone()),
        (slapd.tls_url_ipv6(), ca.clone()),
        (slapd.tls_url().replace("127.0.0.1", "localhost"), ca.clone()),
        (slapd.plain_url(), format!("starttls = true\n{ca}")),
    ] {
        let health = Target::at(&url, &more).connect().probe().await.unwrap();
        assert_eq!(health.summary, format!("OpenLDAP at {url}, bound as {RELAY}"));
    }
    let plain = Target::at(&slapd.plain_url(), "allow_plaintext = true\n");
    let said = credentials(plain.connect().probe().await);
    assert!(said.contains("confidentialityRequired (13)"), "{said}");
}

#[tokio::test]
async fn another_authority_is_refused_before_any_password_is_sent() {
    let slapd = Slapd::start().await;
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.pem");
    std::fs::write(&other, Authority::new("another CA").certificate()).unwrap();
    // Were the password sent, this one would be refused, and the sentence would be another.
    for (url, more) in [
        (slapd.tls_url(), ""),
        (slapd.tls_url_ipv6(), ""),
        (slapd.plain_url(), "starttls = true\n"),
    ] {
        let mut target = Target::at(&url, &format!("{more}ca = \"{}\"\n", other.display()));
        target.head = target.head.replace("relaysecret", "wrong");
        let said = credentials(target.connect().deliver(&present(ada())).await);
        assert_eq!(
            said,
            format!(
                "the certificate of {url} is not accepted: no authority that is believed here has \
                 signed it; name the right one with `ca`"
            )
        );
    }
}

#[tokio::test]
async fn a_certificate_that_ended_is_named_with_its_day() {
    let slapd = Slapd::start_with(&Options { expired: true, ..Options::default() }).await;
    let target = Target::at(&slapd.tls_url(), &format!("ca = \"{}\"\n", slapd.ca().display()));
    let said = credentials(target.connect().probe().await);
    assert!(said.ends_with("it expired on 2021-02-03; renew it"), "{said}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_named() {
    let slapd = Slapd::start().await;
    let url = slapd.tls_url().replace("127.0.0.1", "127.0.0.2");
    // The server listens on one loopback address only, so a relay in between carries the bytes.
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    let between = tokio::net::TcpListener::bind(("127.0.0.2", port)).await.unwrap();
    let carry = async {
        let (mut here, _) = between.accept().await.unwrap();
        let mut there = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        tokio::io::copy_bidirectional(&mut here, &mut there).await.ok();
        std::future::pending::<()>().await;
    };
    let connector = Target::at(&url, &format!("ca = \"{}\"\n", slapd.ca().display())).connect();
    let said = tokio::select! {
        result = connector.probe() => credentials(result),
        () = carry => unreachable!("it carries for ever"),
    };
    assert!(said.contains("not for 127.0.0.2; write the name that it has into `url`"), "{said}");
}

#[tokio::test]
async fn a_server_without_starttls_gets_no_password() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ldap://{}", listener.local_addr().unwrap());
    // An extended response with protocolError (RFC 4511 section 4.14.2), then whatever comes.
    let strip = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 256];
        let length = stream.read(&mut request).await.unwrap();
        assert!(request[..length].windows(22).any(|part| part == b"1.3.6.1.4.1.1466.20037"));
        stream
            .write_all(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00")
            .await
            .unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        rest
    };
    let slapd = Slapd::start().await;
    let target = Target::at(&url, &format!("starttls = true\nca = \"{}\"\n", slapd.ca().display()));
    let connector = target.connect();
    let (result, rest) = tokio::join!(connector.probe(), strip);
    let said = credentials(result);
    assert!(said.contains("refuses StartTLS: protocolError (2)"), "{said}");
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn a_wrong_password_and_a_locked_account_stop_the_target() {
    let slapd = Slapd::start().await;
    let mut target = Target::of(&slapd);
    let good = target.head.clone();
    target.head = good.replace("relaysecret", "wrong");
    let said = credentials(target.connect().deliver(&present(ada())).await);
    assert!(
        said.contains(&format!("refuses to let `{RELAY}` in: invalidCredentials (49)")),
        "{said}"
    );
    assert!(!said.contains("wrong"), "{said}");

    target.head = good;
    slapd.apply(&format!(
        "dn: {RELAY}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n"
    ));
    credentials(target.connect().probe().await);
    slapd.apply(&format!(
        "dn: {RELAY}\nchangetype: modify\ndelete: pwdAccountLockedTime\n-\nadd: pwdReset\npwdReset: TRUE\n"
    ));
    slapd.apply(
        "dn: cn=default,ou=policies,dc=example,dc=org\nchangetype: modify\n\
         add: pwdMustChange\npwdMustChange: TRUE\n",
    );
    let said = credentials(target.connect().deliver(&present(ada())).await);
    assert!(said.contains("insufficientAccessRights (50)"), "{said}");
}

#[tokio::test]
async fn a_missing_base_is_told_by_the_probe() {
    let slapd = Slapd::start().await;
    slapd.apply("dn: ou=groups,dc=example,dc=org\nchangetype: delete\n");
    let said = credentials(Target::of(&slapd).connect().probe().await);
    assert!(
        said.starts_with("`ou=groups,dc=example,dc=org` ([ldap.groups]) does not exist at"),
        "{said}"
    );
}

#[tokio::test]
async fn what_the_account_may_not_do_is_refused_for_that_person() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let made = connector.deliver(&present(ada())).await.unwrap();
    drop(connector);
    let mut target = Target::of(&slapd);
    target.head = target.head.replace(RELAY, made.link.as_ref().unwrap().address.as_str());
    target.head = target.head.replace("relaysecret", "initial secret of ada@lillevik.example");
    let work = present(with(ada(), "title", "Queen")).linked(&made);
    let error = target.connect().deliver(&work).await.unwrap_err();
    assert!(
        error.to_string().ends_with("give the bind DN the right to do that, then retry"),
        "{error}"
    );
    assert!(matches!(error, DeliveryError::Refused { .. }));
}

#[tokio::test]
async fn a_stopped_server_is_unreachable_and_a_started_one_is_used_again() {
    let mut slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let made = connector.deliver(&present(ada())).await.unwrap();
    slapd.stop();
    let said = unreachable(connector.deliver(&present(ada()).linked(&made)).await);
    assert!(said.contains("cannot be reached") && said.contains("refused"), "{said}");
    unreachable(connector.probe().await);
    slapd.run().await;
    let again = connector.deliver(&present(ada()).linked(&made)).await.unwrap();
    assert_eq!(again.action, Action::Unchanged);
}

#[tokio::test]
async fn a_silent_server_costs_one_time_limit_and_the_same_work_converges_afterwards() {
    let slapd = Slapd::start().await;
    let mut target = Target::of(&slapd);
    target.timeout = Duration::from_secs(1);
    let connector = target.connect();
    let made = connector.deliver(&present(ada())).await.unwrap();
    let titled = present(with(ada(), "title", "Pupil")).linked(&made);

    slapd.pause();
    let begun = Instant::now();
    // On the connection that was open, the server takes the question or the write and says nothing.
    let error = connector.deliver(&titled).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Later { .. }), "{error:?}");
    // A new one is not made.
    let said = unreachable(connector.deliver(&titled).await);
    assert!(said.contains("did not answer within 1s"), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(4), "two deliveries, a time limit each");
    slapd.resume();

    let converged = connector.deliver(&titled).await.unwrap();
    assert_eq!(converged.link, made.link);
    assert_eq!(slapd.one("(employeeNumber=ext-ada)").values("title"), ["Pupil"]);
    assert_eq!(connector.deliver(&titled).await.unwrap().action, Action::Unchanged);
}
