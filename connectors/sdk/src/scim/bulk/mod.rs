//! Bulk (RFC 7644 section 3.7): many writes in one request, handed out one after another.
//! `operation` reads one of them, `references` finds what refers to another, `order` says which
//! comes first.

mod operation;
mod order;
mod references;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::error::Error;
use super::path::shorten;
use super::resource::ResourceId;
use operation::Operation;

pub use operation::BulkWrite;

pub const BULK_REQUEST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
pub const BULK_RESPONSE_URN: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/// The most operations of one request, as the service provider configuration says it.
pub const MAX_BULK_OPERATIONS: usize = 1000;

/// A bulk request on its way: whoever carries it out takes step after step, and says of each what
/// came of it.
#[derive(Debug)]
pub struct Bulk {
    operations: Vec<Option<Operation>>,
    /// The places of those that lie ahead, the next one last.
    ahead: Vec<usize>,
    /// What the POSTs with these bulkIds made, if anything.
    made: HashMap<String, Option<ResourceId>>,
    /// How many more may fail; none: all of them.
    patience: Option<u64>,
}

/// One operation, when its turn has come.
#[derive(Debug)]
pub struct BulkStep {
    /// Its place in the request, which is its place in the answer.
    pub index: usize,
    pub method: String,
    pub bulk_id: Option<String>,
    /// What to do, with the ids of the resources it refers to; or why nothing is to be done.
    pub write: Result<BulkWrite, Error>,
}

impl Bulk {
    /// Reads the body of a bulk request. What is wrong with one operation is that operation's
    /// answer; refused as a whole is only what cannot be told apart into operations.
    pub fn parse(body: Value) -> Result<Self, Error> {
        let Value::Object(body) = body else {
            return Err(Error::invalid_syntax("the body is not a JSON object"));
        };
        let (mut schemas, mut operations, mut patience) = (Value::Null, None, None);
        for (key, value) in body {
            if key.eq_ignore_ascii_case("schemas") {
                schemas = value;
            } else if key.eq_ignore_ascii_case("operations") {
                operations = Some(value);
            } else if key.eq_ignore_ascii_case("failOnErrors") {
                patience = fail_on_errors(&value)?;
            }
        }
        let named = |urn: &Value| urn.as_str().is_some_and(|urn| urn == BULK_REQUEST_URN);
        if !schemas.as_array().is_some_and(|urns| urns.iter().any(named)) {
            let detail = format!("`schemas` of a bulk request must name {BULK_REQUEST_URN}");
            return Err(Error::invalid_syntax(detail));
        }
        let Some(Value::Array(given)) = operations else {
            return Err(Error::invalid_syntax("`Operations` is not a list of operations"));
        };
        if given.is_empty() {
            return Err(Error::invalid_syntax("`Operations` is empty"));
        }
        if given.len() > MAX_BULK_OPERATIONS {
            let count = given.len();
            let detail = format!(
                "{count} operations are more than the {MAX_BULK_OPERATIONS} of one bulk request \
                 (maxOperations)"
            );
            return Err(Error::new(413, None, detail));
        }
        let operations = given.into_iter().map(Operation::parse).collect::<Result<Vec<_>, _>>()?;
        Self::of(operations, patience)
    }

    fn of(mut operations: Vec<Operation>, patience: Option<u64>) -> Result<Self, Error> {
        let posts = posts(&operations)?;
        let mut after = waits(&mut operations, &posts);
        for index in order::circular(&after) {
            // RFC 7644 section 3.7.1 lets a service provider give up on these with a 409.
            operations[index].write = Err(Error::new(
                409,
                None,
                "its bulkId references lead in a circle; create one of the resources without \
                 them, and add them with a PATCH",
            ));
            after[index].clear();
        }
        let mut ahead = order::order(&after);
        ahead.reverse();
        let operations = operations.into_iter().map(Some).collect();
        Ok(Self { operations, ahead, made: HashMap::new(), patience })
    }

    /// How many operations were sent.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The next operation: none when all have had their turn, and when `failOnErrors` of them have
    /// failed.
    pub fn next_step(&mut self) -> Option<BulkStep> {
        if self.patience == Some(0) {
            return None;
        }
        let index = self.ahead.pop()?;
        let Operation { method, bulk_id, write } = self.operations[index].take()?;
        let write = write.and_then(|write| references::resolve(write, &self.made));
        Some(BulkStep { index, method, bulk_id, write })
    }

    /// What came of a step: the resource that it wrote, or none if it failed.
    pub fn settle(&mut self, bulk_id: Option<&str>, resource: Option<ResourceId>) {
        if resource.is_none() {
            self.patience = self.patience.map(|left| left.saturating_sub(1));
        }
        if let Some(bulk_id) = bulk_id {
            self.made.insert(bulk_id.to_owned(), resource);
        }
    }
}

/// RFC 7644 section 3.7: the number of errors that are accepted. One of zero would not even let
/// the first operation begin.
fn fail_on_errors(value: &Value) -> Result<Option<u64>, Error> {
    match value {
        Value::Null => Ok(None),
        value => match value.as_u64() {
            Some(count) if count > 0 => Ok(Some(count)),
            _ => Err(Error::invalid_value("`failOnErrors` is not an integer of at least 1")),
        },
    }
}

/// Where the POST of each bulkId is. Given twice, nobody could tell which one is meant.
fn posts(operations: &[Operation]) -> Result<HashMap<String, usize>, Error> {
    let mut seen = BTreeSet::new();
    let mut posts = HashMap::new();
    for (index, operation) in operations.iter().enumerate() {
        let Some(bulk_id) = &operation.bulk_id else { continue };
        if !seen.insert(bulk_id.as_str()) {
            return Err(Error::invalid_value(format!(
                "two operations have the bulkId `{}`",
                shorten(bulk_id)
            )));
        }
        if operation.method == "POST" {
            posts.insert(bulk_id.clone(), index);
        }
    }
    Ok(posts)
}

/// Whom each operation comes after: the POSTs that it refers to, and the operation before it on
/// the same resource.
fn waits(operations: &mut [Operation], posts: &HashMap<String, usize>) -> Vec<BTreeSet<usize>> {
    let mut last: HashMap<String, usize> = HashMap::new();
    let mut after = Vec::with_capacity(operations.len());
    for (index, operation) in operations.iter_mut().enumerate() {
        let mut before = BTreeSet::new();
        if let Ok(write) = &mut operation.write {
            match references::wanted(write, posts) {
                Ok(wanted) => before = wanted,
                Err(error) => operation.write = Err(error),
            }
        }
        if let Ok(write) = &operation.write
            && let Some(path) = write.path()
        {
            before.extend(last.insert(path, index));
        }
        after.push(before);
    }
    after
}
