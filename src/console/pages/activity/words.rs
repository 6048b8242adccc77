//! What was done, in words. Every action that the audit log knows stands here once.

/// What comes before the dot of an action, and as a filter calls it.
pub(super) const ABOUT: [(&str, &str); 8] = [
    ("queue", "The queue"),
    ("held", "Approvals"),
    ("connector", "Connectors"),
    ("token", "Tokens"),
    ("trace", "Looks at people"),
    ("requests", "Looks at requests"),
    ("account", "Accounts and sign-ins"),
    ("activity", "Downloads"),
];

/// An action: its word, and what a page says of it. What it was done to follows.
pub(super) const DEEDS: &[(&str, &str)] = &[
    ("account.create", "Made the account of"),
    ("account.disable", "Switched off the account of"),
    ("account.enable", "Switched on the account of"),
    ("account.name", "Renamed"),
    ("account.password", "Set the password of"),
    ("account.password_link", "Made a link to set a password for"),
    ("account.remove", "Removed the account of"),
    ("account.role", "Changed the role of"),
    ("account.second_factor", "Set up a second factor for"),
    ("account.second_factor_off", "Turned off the second factor of"),
    ("account.session_end", "Ended a session of"),
    ("account.sign_in", "Signed in"),
    ("account.sign_in_failed", "Was not let in as"),
    ("account.sign_in_link", "Made a link to sign in for"),
    ("account.sign_out", "Signed out"),
    ("activity.export", "Downloaded the activity"),
    ("connector.forget", "Forgot the connector"),
    ("connector.pause", "Paused"),
    ("connector.reconcile", "Compared"),
    ("connector.repair", "Put right"),
    ("connector.resume", "Resumed"),
    ("connector.resync", "Had delivered anew:"),
    ("connector.test", "Tested"),
    ("held.approve", "Approved"),
    ("held.reject", "Rejected"),
    ("queue.retry", "Had tried again:"),
    ("queue.skip", "Skipped"),
    ("requests.read", "Looked at"),
    ("token.create", "Made the token"),
    ("token.first_use", "First used the token"),
    ("token.revoke", "Revoked the token"),
    ("token.rotate", "Replaced the token"),
    ("trace.read", "Looked at"),
];

/// An action without words is said as it is: it was written by a later version.
pub(super) fn said(action: &str) -> String {
    let known = DEEDS.iter().find(|(word, _)| *word == action);
    known.map_or_else(|| action.replace(['.', '_'], " "), |(_, said)| (*said).to_owned())
}
