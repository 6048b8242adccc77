//! Handing a mail to an SMTP server, over a few connections that are kept open.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt, Rset};
use lettre::transport::smtp::extension::{
    ClientId, Extension, MailBodyParameter, MailParameter, ServerInfo,
};
use rustls::ClientConfig;
use scim_relay_sdk::connector::DeliveryError;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::compose::Mail;
use crate::error::{Failure, Stage, Trouble};
use crate::server::ServerUrl;
use crate::stream;

/// Connections at one time. One connection carries thousands of mails a second where the server
/// keeps up; several help only while a server thinks about each mail.
const CONNECTIONS: usize = 4;

/// How long a connection may lie idle and still be used: less than servers (RFC 5321 section
/// 4.5.3.2.7 asks five minutes of them) and firewalls commonly wait before they drop one.
const KEEP: SignedDuration = SignedDuration::from_secs(30);

/// The way to one SMTP server.
pub(crate) struct Smtp {
    pub(crate) server: ServerUrl,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) allow_plaintext: bool,
    pub(crate) hello: ClientId,
    pub(crate) credentials: Option<Credentials>,
    /// For everything that one mail takes.
    pub(crate) timeout: Duration,
    pub(crate) pool: Pool,
}

/// The connections of one server.
pub(crate) struct Pool {
    busy: Semaphore,
    idle: Mutex<Vec<(AsyncSmtpConnection, Timestamp)>>,
}

impl Pool {
    pub(crate) fn new(concurrency: usize) -> Self {
        let connections = concurrency.clamp(1, CONNECTIONS);
        Self { busy: Semaphore::new(connections), idle: Mutex::default() }
    }

    fn take(&self, now: Timestamp) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| now.duration_since(*since) <= KEEP);
        idle.pop().map(|(connection, _)| connection)
    }

    fn put(&self, connection: AsyncSmtpConnection, now: Timestamp) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((connection, now));
    }
}

impl Smtp {
    /// Hands this mail over. When it fails, the error says whether the server may have it.
    pub(crate) async fn send(&self, mail: &Mail, now: Timestamp) -> Result<(), DeliveryError> {
        let deadline = Instant::now() + self.timeout;
        let Ok(Ok(_permit)) = timeout_at(deadline, self.pool.busy.acquire()).await else {
            return Err(DeliveryError::later(format!(
                "{}: every connection was busy for {:?}",
                self.server, self.timeout
            )));
        };
        self.exchange(mail, now, deadline).await.map_err(|failure| {
            failure.into_delivery_error(&self.server.to_string(), &mail.to_string())
        })
    }

    async fn exchange(
        &self,
        mail: &Mail,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<(), Failure> {
        if let Some(connection) = self.pool.take(now) {
            match self.hand_over(connection, mail, now, deadline).await {
                // Servers close what lies idle; MAIL is how one notices, and nothing was sent yet.
                Err(failure) if failure.is_stale_connection() => {}
                result => return result,
            }
        }
        let (connection, _) = self.open(deadline).await?;
        self.hand_over(connection, mail, now, deadline).await
    }

    /// Sends over this connection, and keeps it for the next mail if it is still good for one.
    async fn hand_over(
        &self,
        mut connection: AsyncSmtpConnection,
        mail: &Mail,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let result = transact(&mut connection, mail, deadline).await;
        let usable = match &result {
            Ok(()) => true,
            Err(failure) if failure.leaves_connection_usable() => {
                step(Stage::Sender, deadline, connection.command(Rset)).await.is_ok()
            }
            Err(_) => false,
        };
        if usable {
            self.pool.put(connection, now);
        }
        result
    }

    /// A new connection, signed in; and how it is protected.
    async fn open(
        &self,
        deadline: Instant,
    ) -> Result<(AsyncSmtpConnection, &'static str), Failure> {
        let Self { server, tls, allow_plaintext, hello, .. } = self;
        let stream = stream::connect(server, tls, *allow_plaintext, hello, deadline).await?;
        let protection = stream.protection();
        let connecting = AsyncSmtpConnection::connect_with_transport(Box::new(stream), hello);
        let mut connection = step(Stage::Greeting, deadline, connecting).await?;
        if let Some(credentials) = &self.credentials {
            if connection.server_info().get_auth_mechanism(DEFAULT_MECHANISMS).is_none() {
                return Err(Failure { stage: Stage::SigningIn, trouble: Trouble::NoMechanism });
            }
            let signing_in = connection.auth(DEFAULT_MECHANISMS, credentials);
            step(Stage::SigningIn, deadline, signing_in).await?;
        }
        Ok((connection, protection))
    }

    /// Connects, signs in and leaves: who answered, and how the connection was protected.
    pub(crate) async fn visit(&self) -> Result<String, DeliveryError> {
        let deadline = Instant::now() + self.timeout;
        let visit = async {
            let (mut connection, protection) = self.open(deadline).await?;
            let name = connection.server_info().name().to_owned();
            step(Stage::Greeting, deadline, connection.quit()).await?;
            Ok(format!("{} answers as {name}, {protection}", self.server))
        };
        visit.await.map_err(|failure: Failure| {
            failure.into_delivery_error(&self.server.to_string(), "a mail")
        })
    }
}

/// One mail, for one recipient, up to the server's word that it has it.
async fn transact(
    connection: &mut AsyncSmtpConnection,
    mail: &Mail,
    deadline: Instant,
) -> Result<(), Failure> {
    let content = mail.formatted();
    let parameters = parameters(connection.server_info(), mail, &content)?;
    let sender = MailFrom::new(Some(mail.from.email.clone()), parameters);
    step(Stage::Sender, deadline, connection.command(sender)).await?;
    let recipient = Rcpt::new(mail.to.email.clone(), Vec::new());
    step(Stage::Recipient, deadline, connection.command(recipient)).await?;
    step(Stage::Recipient, deadline, connection.command(Data)).await?;
    step(Stage::Content, deadline, connection.message(&content)).await?;
    Ok(())
}

/// What MAIL has to announce (RFC 6531 section 3.4, RFC 6152 section 3).
fn parameters(
    server: &ServerInfo,
    mail: &Mail,
    content: &[u8],
) -> Result<Vec<MailParameter>, Failure> {
    let mut parameters = Vec::new();
    let names = [&mail.from.email, &mail.to.email].map(|address| address.user().is_ascii());
    if names.contains(&false) {
        if !server.supports_feature(Extension::SmtpUtfEight) {
            // 553 5.6.7 is what a server says where this has to be translated further on.
            return Err(Failure {
                stage: Stage::Recipient,
                trouble: Trouble::reply(
                    553,
                    "5.6.7 the address has letters outside ASCII before its @, and this server \
                     does not take those (SMTPUTF8)",
                ),
            });
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !content.is_ascii() {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    Ok(parameters)
}

/// One step of the conversation, until the deadline of the whole.
async fn step<T>(
    stage: Stage,
    deadline: Instant,
    conversation: impl Future<Output = Result<T, smtp::Error>>,
) -> Result<T, Failure> {
    match timeout_at(deadline, conversation).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Failure { stage, trouble: error.into() }),
        Err(_) => Err(Failure { stage, trouble: Trouble::Silence }),
    }
}
