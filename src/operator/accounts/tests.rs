//! The door: who gets in, who does not, and what is written down of it.
