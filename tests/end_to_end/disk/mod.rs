//! What a disk can do to the relay: lose what was not synced, refuse, fail, be slow, lie.

mod damage;
mod faults;
mod power_cut;
