//! What happens at the school, act by act: what the provider pushes, and what must have arrived.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::Instant;

use super::account::count;
use super::arrivals::{Batch, by_language};
use super::ldif::Change;
use super::provider::{Membership, Operation};
use super::school::{BUILDINGS, Person, Role, School};
use super::stage::Stage;

/// For how long the doors' system is down.
const OUTAGE: Duration = Duration::from_secs(3);

/// What the summary says of the story as a whole.
pub(super) struct Told {
    pub(super) took: Duration,
    /// Entries that the reconciliation compared, and those that differed.
    pub(super) compared: usize,
    pub(super) differed: usize,
}

pub(super) async fn tell(stage: &mut Stage, school: &mut School) -> Result<Told> {
    let begun = Instant::now();
    moves_in(stage, school).await?;
    marriage(stage, school).await?;
    change_of_class(stage, school).await?;
    outage(stage, school).await?;
    suspension(stage, school).await?;
    let leaver = departure(stage, school).await?;
    homecoming(stage, school, leaver).await?;
    let (compared, differed) = reconciliation(stage).await?;
    Ok(Told { took: begun.elapsed(), compared, differed })
}

async fn moves_in(stage: &mut Stage, school: &School) -> Result<()> {
    stage.account.act("The school moves in").await;
    let begun = Instant::now();
    let (pupils, teachers) = (school.count(Role::Student), school.count(Role::Teacher));
    let guests = school.count(Role::Guest);
    stage.account.pushed(&format!(
        "The provider pushes {pupils} pupils, {teachers} teachers, {guests} guests and {} as groups.",
        count(school.classes.len(), "class", "classes")
    ));
    stage.provider.add_people(&school.people).await?;
    for (number, class) in school.classes.iter().enumerate() {
        let members: Vec<&Person> =
            school.members(number).into_iter().map(|place| &school.people[place]).collect();
        stage.provider.add_class(class, &members).await?;
    }
    let (requests, pushing) = (stage.provider.sent(), begun.elapsed());
    let pushed = Instant::now();
    let batch = stage.settled().await?;
    let (people, groups) = batch.added();
    stage.account.pushed(&format!(
        "{requests} requests in {:.1} s; {:.1} s later everything has arrived everywhere.",
        pushing.as_secs_f64(),
        pushed.elapsed().as_secs_f64()
    ));
    stage.account.arrived(
        "directory",
        format!("{people} people, {groups} groups (guests are out of its scope)"),
    );
    stage.account.arrived("building", format!("{} may open doors now", stage.receiver.admitted()));
    tell_events(stage, &batch);
    tell_mails(stage, &batch);

    ensure!(
        people == pupils + teachers,
        "the directory got {people} people instead of {}",
        pupils + teachers
    );
    ensure!(groups == school.classes.len(), "the directory got {groups} groups");
    let everybody = school.people.len();
    ensure!(stage.receiver.admitted() == everybody, "not all of the {everybody} may open doors");
    ensure!(
        batch.mails.len() == everybody,
        "{} welcomes for {everybody} people",
        batch.mails.len()
    );
    Ok(())
}

async fn marriage(stage: &mut Stage, school: &mut School) -> Result<()> {
    let place = school.classes[0].teacher;
    let person = &mut school.people[place];
    let before = person.clone();
    person.marry("Lysgård-Ness", "lysgard-ness");
    stage.account.act(&format!("{} marries and is now {}", before.name(), person.name())).await;
    stage.account.pushed("PATCH: userName, displayName, name and mail address.");
    stage.provider.patch_person(person, Operation::names(person)).await?;
    let batch = stage.settled().await?;
    tell_all(stage, &batch);

    let old = format!("uid={}", before.user_name);
    ensure!(
        batch.records.iter().any(|record| record.dn.starts_with(&old)
            && matches!(&record.change, Change::Rename { rdn, .. } if *rdn == format!("uid={}", person.user_name))),
        "the directory still knows {}",
        before.user_name
    );
    Ok(())
}

async fn change_of_class(stage: &mut Stage, school: &mut School) -> Result<()> {
    let Some(place) = school.classes[0].pupils.pop() else { return Ok(()) };
    school.classes[1].pupils.push(place);
    let pupil = &school.people[place];
    let (from, to) = (&school.classes[0], &school.classes[1]);
    let title = format!("{} changes from {} to {}", pupil.name(), from.name, to.name);
    stage.account.act(&title).await;
    stage.account.pushed("PATCH for each of the two groups: one member out, one in.");
    stage.provider.change_members(from, Membership::Remove, &[pupil]).await?;
    stage.provider.change_members(to, Membership::Add, &[pupil]).await?;
    let batch = stage.settled().await?;
    tell_all(stage, &batch);

    ensure!(batch.records.len() == 2, "the directory changed {} groups", batch.records.len());
    Ok(())
}

/// The doors' system is down just when a class moves house.
async fn outage(stage: &mut Stage, school: &mut School) -> Result<()> {
    let class = &school.classes[1];
    let to = BUILDINGS[2];
    let seconds = OUTAGE.as_secs();
    let title = format!(
        "{} moves to the {to} building, whose door system is down for {seconds} seconds",
        class.name
    );
    stage.account.act(&title).await;
    stage.account.pushed(&format!(
        "PATCH: the building of {}.",
        count(class.pupils.len(), "pupil", "pupils")
    ));
    stage.receiver.fail_for(OUTAGE);
    let begun = Instant::now();
    for &place in &class.pupils {
        let pupil = &mut school.people[place];
        pupil.building = to;
        stage.provider.patch_person(pupil, vec![Operation::building(to)]).await?;
    }
    let at_once = stage.settled_apart_from(Some("building")).await?;
    stage.account.arrived(
        "directory",
        format!("{} at once", count(at_once.records.len(), "entry", "entries")),
    );
    tell_events(stage, &at_once);
    let waiting = stage.waiting("building").await?;
    stage
        .account
        .trouble("building", format!("answers 503; {waiting} wait, the others do not wait for it"));
    let later = stage.settled().await?;
    let calls = at_once.doors().len() + later.doors().len();
    let refused = at_once.refused() + later.refused();
    stage.account.arrived(
        "building",
        format!(
            "back: all {calls} have arrived after {:.1} s and {refused} refusals; nothing is lost",
            begun.elapsed().as_secs_f64()
        ),
    );

    let pupils = class.pupils.len();
    ensure!(refused > 0, "the outage went unnoticed");
    ensure!(calls >= pupils, "only {calls} of {pupils} reached the doors' system");
    Ok(())
}

async fn suspension(stage: &mut Stage, school: &School) -> Result<()> {
    let pupil = &school.people[school.classes[1].pupils[0]];
    stage.account.act(&format!("{} is deactivated", pupil.name())).await;
    stage.account.pushed("PATCH: active is \"False\", as text, the way Entra writes it.");
    stage.provider.patch_person(pupil, vec![Operation::active(false)]).await?;
    let batch = stage.settled().await?;
    tell_all(stage, &batch);

    let admitted = stage.receiver.admitted();
    ensure!(admitted + 1 == school.people.len(), "{} may still open doors", pupil.name());
    Ok(())
}

/// Somebody leaves; who.
async fn departure(stage: &mut Stage, school: &School) -> Result<usize> {
    let place = school.classes[0].pupils[0];
    let pupil = &school.people[place];
    stage.account.act(&format!("{} leaves the school", pupil.name())).await;
    stage.account.pushed("DELETE. The directory keeps leavers apart for 90 days.");
    stage.provider.delete_person(pupil).await?;
    let batch = stage.settled().await?;
    tell_all(stage, &batch);

    let moved = |change: &Change| matches!(change, Change::Rename { parent: Some(parent), .. } if parent.starts_with("ou=leavers"));
    ensure!(
        batch.records.iter().any(|record| moved(&record.change)),
        "nobody is among the leavers"
    );
    Ok(place)
}

async fn homecoming(stage: &mut Stage, school: &School, place: usize) -> Result<()> {
    let pupil = &school.people[place];
    let class = &school.classes[0];
    stage.account.act(&format!("{} comes back after all", pupil.name())).await;
    stage.account.pushed("POST: a new user to the provider, the same person to the directory.");
    stage.provider.add_person(pupil).await?;
    stage.provider.change_members(class, Membership::Add, &[pupil]).await?;
    let batch = stage.settled().await?;
    tell_all(stage, &batch);
    stage.account.arrived("welcome", "no mail: one welcome for each person, ever");

    let (people, _) = batch.added();
    ensure!(people == 0, "the directory made a second entry for {}", pupil.name());
    ensure!(batch.mails.is_empty(), "{} was welcomed twice", pupil.name());
    Ok(())
}

async fn reconciliation(stage: &mut Stage) -> Result<(usize, usize)> {
    stage.account.act("The night's reconciliation").await;
    stage.account.pushed("Every entry of the directory is compared with what it should be.");
    let report = stage.reconcile().await?;
    let (compared, differed) = (report.seen, report.drift.len());
    let outcome = match report.drift.first() {
        None => "nothing differs".to_owned(),
        Some(first) => {
            format!("{differed} differ, the first is {} ({})", first.address, first.kind.word())
        }
    };
    stage.account.arrived("directory", format!("{compared} entries compared; {outcome}"));
    ensure!(differed == 0, "the directory is not what it should be: {outcome}");
    Ok((compared, differed))
}

/// What arrived everywhere, in full.
fn tell_all(stage: &Stage, batch: &Batch) {
    tell_directory(stage, batch);
    stage.account.arrived_all("building", &batch.doors());
    tell_events(stage, batch);
    tell_mails(stage, batch);
}

fn tell_directory(stage: &Stage, batch: &Batch) {
    stage.account.arrived_all("directory", &batch.directory());
}

fn tell_events(stage: &Stage, batch: &Batch) {
    if let Some(events) = batch.events() {
        stage.account.arrived("events", events);
    }
}

fn tell_mails(stage: &Stage, batch: &Batch) {
    if batch.mails.is_empty() {
        return;
    }
    let languages = by_language(batch.mails.iter().map(|mail| (mail.language.as_str(), 1)));
    let mails = count(batch.mails.len(), "mail", "mails");
    stage.account.arrived("welcome", format!("{mails}: {languages}"));
}
