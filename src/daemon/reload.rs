//! A new configuration in the place of the old one: whole, or not at all.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use scim_relay_sdk::connector::chain;
use tokio_util::sync::CancellationToken;

use super::{Daemon, build, connectors::KINDS};
use crate::config::{self, Config, Diagnostic, Severity};
use crate::http;
use crate::operator::Runtime;
use crate::reconcile::{self, Due};
use crate::store::StoreError;

/// A store that ceased to take writes while the lanes were changed is tried again.
const BEGINS_AGAIN: Duration = Duration::from_secs(2);

impl Daemon {
    /// Reads the configuration again. What is wrong with it is returned, and the old one stays in
    /// force; what cannot change without a restart is warned of.
    pub async fn reload(&self) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        let _one = self.reloading.lock().await;
        let old = self.runtime.load_full();
        let file = &old.config.file;
        let (config, mut warnings) = config::load(file, KINDS, self.credentials.as_deref())?;
        let connectors = build::connectors(&config, self.credentials.as_deref())?;
        let mut certificates = Vec::new();
        for (in_use, files) in
            [(&self.tls, &config.listener.tls), (&self.console_tls, &config.console.tls)]
        {
            let (Some(in_use), Some(files)) = (in_use, files) else { continue };
            let loaded = http::load_tls(&files.certificate, &files.key).map_err(|error| {
                let text = chain(&error);
                vec![Diagnostic::about(file, text).help("the old certificate stays in use")]
            })?;
            certificates.push((in_use, loaded));
        }
        for (in_use, loaded) in certificates {
            in_use.store(Arc::new(loaded));
        }
        warnings.extend(needs_a_restart(&old.config, &config));

        // A store that takes no writes cannot be told of the new lanes, so the old ones go on.
        if let Err(error) = self.store.writable().await {
            return Err(vec![refused(file, &error)]);
        }
        // The old lanes end before the new ones begin, so that no item is in two hands.
        self.generation.load().cancel();
        old.engine.stop().await;
        let (limits, key) = (build::limits(&config), connectors.key());
        let runtime = match build::runtime(config, connectors, &self.lanes).await {
            Ok(runtime) => runtime,
            Err(error) => {
                self.go_on_by(&old.config).await;
                self.keep_time();
                return Err(vec![refused(file, &error)]);
            }
        };
        self.go_by(runtime, limits);
        if let Err(error) = build::drop_what_cannot_be_opened(key, &self.store).await {
            // A lane leaves such a password out when it comes to it.
            tracing::warn!(%error, "passwords of an old key are still in the store");
        }
        self.keep_time();
        Ok(warnings)
    }

    /// Without lanes nothing is delivered: this does not end before there are some again.
    async fn go_on_by(&self, old: &Config) {
        loop {
            match self.begin_again(old).await {
                Ok(runtime) => return self.go_by(runtime, build::limits(old)),
                Err(mistakes) => {
                    for mistake in mistakes {
                        tracing::error!("nothing is delivered just now; trying again: {mistake}");
                    }
                }
            }
            tokio::time::sleep(BEGINS_AGAIN).await;
        }
    }

    async fn begin_again(&self, old: &Config) -> Result<Runtime, Vec<Diagnostic>> {
        let connectors = build::connectors(old, self.credentials.as_deref())?;
        build::runtime(old.clone(), connectors, &self.lanes)
            .await
            .map_err(|error| vec![refused(&old.file, &error)])
    }

    /// What comes in from now on goes by this.
    fn go_by(&self, runtime: Runtime, limits: http::Limits) {
        self.scim.replace(build::directories(&runtime, &self.store, &self.clock), limits);
        self.runtime.store(Arc::new(runtime));
    }

    /// Starts the schedules of the configuration that is in force.
    pub(super) fn keep_time(&self) {
        let generation = self.lanes.soft.child_token();
        self.generation.store(Arc::new(generation.clone()));
        let runtime = self.runtime.load();
        let due: Vec<Due> = runtime
            .config
            .connectors
            .iter()
            .filter(|connector| connector.enabled)
            .filter_map(|connector| {
                let schedule = connector.reconcile.schedule.clone()?;
                Some(Due { connector: connector.name.as_str().into(), schedule })
            })
            .collect();
        if due.is_empty() {
            return;
        }
        let operator = self.operator.clone();
        let zone = runtime.config.timezone.clone();
        let fire = move |name: Arc<str>| {
            let operator = operator.clone();
            async move {
                let actor = crate::operator::Actor::relay("schedule");
                if let Err(error) = operator.reconcile(&actor, &name, false).await {
                    tracing::error!(connector = %name, %error, "a scheduled reconciliation could not run");
                }
            }
        };
        let stop: CancellationToken = generation;
        self.lanes.tasks.spawn(reconcile::timer(self.clock.clone(), zone, due, stop, fire));
    }
}

fn refused(file: &Path, error: &StoreError) -> Diagnostic {
    Diagnostic::about(file, error.to_string()).help("reload once the disk has room again")
}

fn needs_a_restart(old: &Config, new: &Config) -> Vec<Diagnostic> {
    let changed = [
        ("listener.address", old.listener.address != new.listener.address),
        ("listener.tls", old.listener.tls.is_some() != new.listener.tls.is_some()),
        ("console.address", old.console.address != new.console.address),
        ("console.tls", old.console.tls.is_some() != new.console.tls.is_some()),
        ("admin.socket", old.admin_socket != new.admin_socket),
        ("data_dir", old.data_dir != new.data_dir),
    ];
    changed
        .into_iter()
        .filter(|(_, changed)| *changed)
        .map(|(key, _)| {
            let message = format!("`{key}` changed, which takes a restart");
            let about = Diagnostic::about(&new.file, message).help("systemctl restart scim-relay");
            Diagnostic { severity: Severity::Warning, ..about }
        })
        .collect()
}
