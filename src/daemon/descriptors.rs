//! How many files and connections may be open at once, and how many of them are for clients.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For the database, the targets, the console and the admin socket: clients that hold connections
/// open must not keep the relay from its own work.
const OWN: u64 = 256;

/// How many connections clients may have, at most `most`. Asks for as many descriptors as that
/// takes, where fewer are allowed than could be.
pub(super) fn for_clients(most: usize) -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = (most as u64 + OWN).min(maximum.unwrap_or(u64::MAX));
    let allowed = match current {
        Some(current) if current < wanted => {
            let raised = Rlimit { current: Some(wanted), maximum };
            setrlimit(Resource::Nofile, raised).map_or(current, |()| wanted)
        }
        Some(current) => current,
        None => u64::MAX,
    };
    let clients = share(allowed, most);
    if clients < most {
        tracing::warn!(
            descriptors = allowed,
            clients,
            "few files may be open at once, so few clients may be connected; raise LimitNOFILE"
        );
    }
    clients
}

fn share(allowed: u64, most: usize) -> usize {
    let clients = allowed.saturating_sub(OWN).max(allowed / 2);
    usize::try_from(clients).unwrap_or(most).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_what_the_relay_does_not_need_and_half_of_little() {
        for (allowed, expected) in
            [(u64::MAX, 10_000), (65_536, 10_000), (1_024, 768), (512, 256), (300, 150), (0, 0)]
        {
            assert_eq!(share(allowed, 10_000), expected, "{allowed}");
        }
    }
}
