//! A connector that is no more, and all that is known of it.

use super::{Actor, Operator, OperatorError, Result};

impl Operator {
    /// Drops what is known of a connector which does not run: links, what waits, reports. Comes back
    /// when all of it is gone; a daemon that ends meanwhile goes on with it at its next start.
    pub async fn forget_connector(&self, actor: &Actor, name: &str) -> Result<()> {
        let id = self.connector(name)?;
        let rows = self.store.connectors().await?;
        let detail = rows.iter().find(|row| row.id == id).map(|row| {
            let backlog = &row.backlog;
            let waiting = backlog.open() + backlog.parked + backlog.held + backlog.scheduled;
            format!("{} links, {waiting} rows of the queue", row.links)
        });
        if !self.store.forget(id).await? {
            return Err(OperatorError::Invalid(format!(
                "{name} is running, and what runs is not forgotten: remove its file or write `enabled \
                 = false` in it, then `systemctl reload scim-relay`, then forget it"
            )));
        }
        self.runtime.load().forget(name);
        self.note(actor, "connector.forget", None, name, detail).await?;
        while self.store.drop_forgotten().await? {}
        Ok(())
    }
}
