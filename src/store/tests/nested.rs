//! Groups in groups: what a person is in, and who hears of it.

use scim_relay_sdk::connector::Scope;
use scim_relay_sdk::scim::{Filter, Relation, ResourceKind};
use scim_relay_sdk::testing::organization;

use super::kit::{Kit, directory, group};
use crate::delivery::resource;
use crate::store::{ConnectorId, Outcome, Registration, State, Stored};

/// A user's groups by name, as the provider reads them.
async fn groups(kit: &Kit, user: &Stored) -> Vec<(String, &'static str)> {
    let groups = kit.memberships(user).await;
    groups.into_iter().map(|one| (one.display.unwrap(), one.relation.word())).collect()
}

fn named(names: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    names.iter().map(|&(name, word)| (name.to_owned(), word)).collect()
}

#[tokio::test]
async fn a_user_is_in_the_groups_above_its_own_each_of_them_once() {
    let kit = Kit::new().await;
    let ada = kit.user("ada").await;
    let class = kit.group("class", &[&ada]).await;
    let year = kit.group("year", &[&class]).await;
    // By two ways, one of them direct.
    kit.group("school", &[&year, &class, &ada]).await;
    assert_eq!(
        groups(&kit, &ada).await,
        named(&[("class", "direct"), ("school", "direct"), ("year", "indirect")])
    );
}

#[tokio::test]
async fn groups_in_each_other_end_the_walk() {
    let kit = Kit::new().await;
    let ada = kit.user("ada").await;
    let choir = kit.group("choir", &[&ada]).await;
    let band = kit.group("band", &[&choir]).await;
    let club = kit.group("club", &[&band]).await;
    kit.add(&choir, &[&club]).await;
    assert_eq!(
        groups(&kit, &ada).await,
        named(&[("choir", "direct"), ("band", "indirect"), ("club", "indirect")])
    );
}

#[tokio::test]
async fn names_of_members_and_groups_are_those_of_today() {
    let kit = Kit::new().await;
    let ada = kit.user("ada").await;
    let choir = kit.group("choir", &[&ada]).await;
    kit.change(&ada, "ada lovelace", "").await;
    kit.update(&choir, Some(group("chorus")), Vec::new()).await;
    assert_eq!(groups(&kit, &ada).await, named(&[("chorus", "direct")]));
    let members = kit.memberships(&choir).await;
    assert_eq!(members[0].display.as_deref(), Some("ada lovelace"));
    assert_eq!(members[0].relation, Relation::Member(ResourceKind::User));
}

#[tokio::test]
async fn a_filter_and_a_scope_mean_the_same_groups() {
    let mut kit = Kit::new().await;
    let dir = kit.register(Registration { reads_groups: true, ..directory() }).await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    let class = kit.group("class", &[&ada]).await;
    let school = kit.group("school", &[&class]).await;
    let in_school = format!("groups.value eq \"{}\"", school.id);
    let directly = format!("groups[value eq \"{}\" and type eq \"direct\"]", school.id);
    for (filter, listed) in [(in_school.as_str(), true), (directly.as_str(), false)] {
        let page = kit.list(ResourceKind::User, Some(filter), 0, 10).await;
        let found: Vec<_> = page.resources.into_iter().map(|one| one.stored.id).collect();
        assert_eq!(found, if listed { vec![ada.id] } else { Vec::new() }, "{filter}");
        let scope = Scope { users: Some(Filter::parse(filter).unwrap()), groups: None };
        for (user, inside) in [(&ada, listed), (&bob, false)] {
            let claim = kit.claim_of(dir, user).await.unwrap();
            let resource = resource(&kit.case(&claim).await, &organization());
            assert_eq!(scope.contains(&resource), inside, "{filter}");
            kit.settle(&claim, Outcome::Released).await;
        }
    }
}

/// A person in a class in a year, one in the year itself, one in nothing; who of them is marked by
/// what happens.
struct School {
    kit: Kit,
    dir: ConnectorId,
    people: [Stored; 3],
    class: Stored,
    year: Stored,
}

impl School {
    async fn new() -> Self {
        let mut kit = Kit::new().await;
        let dir = kit.register(Registration { reads_groups: true, ..directory() }).await;
        let people = [kit.user("ada").await, kit.user("bob").await, kit.user("eve").await];
        let class = kit.group("class", &[&people[0]]).await;
        let year = kit.group("year", &[&class, &people[1]]).await;
        kit.deliver_all(dir).await;
        Self { kit, dir, people, class, year }
    }

    async fn marked(&self) -> Vec<&'static str> {
        let mut marked = Vec::new();
        for (name, user) in ["ada", "bob", "eve"].into_iter().zip(&self.people) {
            if self.kit.state_of(self.dir, user).await == Some(State::Pending) {
                marked.push(name);
            }
        }
        self.kit.deliver_all(self.dir).await;
        marked
    }
}

#[tokio::test]
async fn who_reads_groups_hears_of_everyone_below_a_group_that_moves() {
    let it = School::new().await;
    let school = it.kit.group("school", &[&it.year]).await;
    assert_eq!(it.marked().await, ["ada", "bob"]);
    it.kit.update(&school, Some(group("academy")), Vec::new()).await;
    assert_eq!(it.marked().await, ["ada", "bob"]);
    it.kit.remove(&it.year, &[&it.class]).await;
    assert_eq!(it.marked().await, ["ada"]);
    it.kit.add(&it.year, &[&it.people[2]]).await;
    assert_eq!(it.marked().await, ["eve"]);
    it.kit.add(&it.year, &[&it.class]).await;
    assert_eq!(it.marked().await, ["ada"]);
    it.kit.delete(&school).await;
    assert_eq!(it.marked().await, ["ada", "bob", "eve"]);
    it.kit.delete(&it.class).await;
    assert_eq!(it.marked().await, ["ada"]);
}

#[tokio::test]
async fn a_circle_of_groups_marks_its_people_once() {
    let it = School::new().await;
    it.kit.add(&it.class, &[&it.year]).await;
    let entries = it.kit.entries(it.dir).await;
    assert_eq!(entries.iter().filter(|one| one.kind == ResourceKind::User).count(), 2);
    assert_eq!(it.marked().await, ["ada", "bob"]);
    it.kit.update(&it.year, Some(group("form")), Vec::new()).await;
    assert_eq!(it.marked().await, ["ada", "bob"]);
}

#[tokio::test]
async fn whoever_many_moved_groups_share_is_marked_once() {
    let it = School::new().await;
    let marks = async || {
        let claim = it.kit.claim_of(it.dir, &it.people[0]).await.unwrap();
        let mark = it.kit.case(&claim).await.mark;
        it.kit.settle(&claim, Outcome::Released).await;
        mark
    };
    let choir = it.kit.group("choir", &[&it.people[0]]).await;
    let before = marks().await;
    // Ada is in all three, and in the new one itself.
    it.kit.group("school", &[&it.class, &it.year, &choir, &it.people[0]]).await;
    assert_eq!(marks().await, before + 1);
}

#[tokio::test]
async fn who_reads_no_groups_hears_of_no_person() {
    let mut kit = Kit::new().await;
    let dir = kit.register(directory()).await;
    let ada = kit.user("ada").await;
    let class = kit.group("class", &[&ada]).await;
    kit.deliver_all(dir).await;
    kit.group("year", &[&class]).await;
    assert_eq!(kit.state_of(dir, &ada).await, None);
}
