//! The rules of the lanes, one test each: a scripted connector, a real store, a clock that only
//! tests move.

mod collapsed;
mod dice;
mod fairness;
mod kit;
mod lanes;
mod limits;
mod once;
mod order;
mod outcomes;
mod passwords;
mod removals;
mod simulation;
mod trouble;
