//! The rules of the store, one test each, through the trait alone where that is possible.

mod accounts;
mod commits;
mod controls;
mod counters;
mod events;
mod fanout;
mod held;
mod kit;
mod links;
mod lists;
mod members;
mod names;
mod nested;
mod opening;
mod passwords;
mod people;
mod picks;
mod properties;
mod queue;
mod removals;
mod requests;
mod retention;
mod search;
mod turns;
mod upkeep;
mod writes;
