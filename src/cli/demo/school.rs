//! The people of the school, made up: the same ones every time.

use std::collections::HashSet;

/// Where the school has rooms; the ids that its door system knows.
pub(super) const BUILDINGS: [&str; 3] = ["north", "south", "harbour"];

/// Where mail addresses and user names end.
const DOMAIN: &str = "lillevik.example";
const PUPILS_IN_A_CLASS: usize = 24;

/// What the provider says somebody is (`userType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Student,
    Teacher,
    Guest,
}

impl Role {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Student => "student",
            Self::Teacher => "teacher",
            Self::Guest => "guest",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    /// The provider's id of them, the same for ever.
    pub(super) external_id: String,
    pub(super) role: Role,
    pub(super) given: &'static str,
    pub(super) family: &'static str,
    /// Also their mail address.
    pub(super) user_name: String,
    pub(super) language: &'static str,
    pub(super) building: &'static str,
}

impl Person {
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.given, self.family)
    }

    /// How they sign in under the family name `family`, spelt `slug` in letters of ASCII.
    pub(super) fn marry(&mut self, family: &'static str, slug: &str) {
        let given = self.user_name.split('.').next().unwrap_or_default();
        self.user_name = format!("{given}.{slug}@{DOMAIN}");
        self.family = family;
    }
}

/// A class: a group at the provider, of pupils and their teacher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) name: String,
    /// Places in [`School::people`].
    pub(super) pupils: Vec<usize>,
    pub(super) teacher: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct School {
    pub(super) people: Vec<Person>,
    pub(super) classes: Vec<Class>,
}

/// Names as people of one language write them, each with its spelling in ASCII.
struct Names {
    language: &'static str,
    given: &'static [(&'static str, &'static str)],
    family: &'static [(&'static str, &'static str)],
}

const BOKMAL: Names = Names {
    language: "nb-NO",
    given: &[
        ("Marte", "marte"),
        ("Øystein", "oystein"),
        ("Åse", "ase"),
        ("Sindre", "sindre"),
        ("Håkon", "hakon"),
        ("Ingrid", "ingrid"),
        ("Bjørn", "bjorn"),
        ("Kari", "kari"),
    ],
    family: &[
        ("Bergersen", "bergersen"),
        ("Ødegård", "odegard"),
        ("Strømme", "stromme"),
        ("Fjeld", "fjeld"),
        ("Aasen", "aasen"),
        ("Holm", "holm"),
        ("Grønli", "gronli"),
    ],
};

const NYNORSK: Names = Names {
    language: "nn-NO",
    given: &[("Gunnhild", "gunnhild"), ("Torbjørn", "torbjorn"), ("Sølvi", "solvi")],
    family: &[("Hovland", "hovland"), ("Sæbø", "sabo"), ("Røyrvik", "royrvik"), ("Åsnes", "asnes")],
};

const SAMI: Names = Names {
    language: "se-NO",
    given: &[("Ánte", "ante"), ("Máret", "maret"), ("Niillas", "niillas"), ("Ávná", "avna")],
    family: &[("Čáhppe", "cahppe"), ("Guttorm", "guttorm"), ("Gáŋga", "ganga")],
};

const GERMAN: Names = Names {
    language: "de-DE",
    given: &[
        ("Jürgen", "jurgen"),
        ("Käthe", "kathe"),
        ("Anneliese", "anneliese"),
        ("Lörn", "lorn"),
    ],
    family: &[("Groß", "gross"), ("Müller", "muller"), ("Schröder", "schroder"), ("Böhm", "bohm")],
};

const FRENCH: Names = Names {
    language: "fr-FR",
    given: &[("Zoé", "zoe"), ("François", "francois"), ("Anaïs", "anais"), ("Jérôme", "jerome")],
    family: &[("Lefèvre", "lefevre"), ("d'Arc", "darc"), ("Château", "chateau"), ("Noël", "noel")],
};

const POLISH: Names = Names {
    language: "pl-PL",
    given: &[("Łukasz", "lukasz"), ("Żaneta", "zaneta"), ("Bożena", "bozena"), ("Paweł", "pawel")],
    family: &[
        ("Wiśniewska", "wisniewska"),
        ("Dąbrowski", "dabrowski"),
        ("Źrebiec", "zrebiec"),
        ("Łęcka", "lecka"),
    ],
};

const SWEDISH: Names = Names {
    language: "sv-SE",
    given: &[("Björn", "bjorn"), ("Åsa", "asa"), ("Märta", "marta")],
    family: &[("Sjöberg", "sjoberg"), ("Ångström", "angstrom"), ("Lind", "lind")],
};

const DANISH: Names = Names {
    language: "da-DK",
    given: &[("Søren", "soren"), ("Mette", "mette"), ("Jeppe", "jeppe")],
    family: &[("Kjær", "kjar"), ("Nørgaard", "norgaard"), ("Bæk", "bak")],
};

const ENGLISH: Names = Names {
    language: "en-GB",
    given: &[("Ada", "ada"), ("Nigel", "nigel"), ("Siobhán", "siobhan")],
    family: &[("O'Neill", "oneill"), ("Turner", "turner"), ("Ashworth", "ashworth")],
};

const UKRAINIAN: Names = Names {
    language: "uk-UA",
    given: &[("Олена", "olena"), ("Тарас", "taras"), ("Ірина", "iryna")],
    family: &[("Коваленко", "kovalenko"), ("Шевчук", "shevchuk"), ("Бойко", "boiko")],
};

/// Who sits beside whom: over and over, so that every language comes early.
const ROUND: [&Names; 16] = [
    &BOKMAL, &GERMAN, &SAMI, &BOKMAL, &FRENCH, &POLISH, &NYNORSK, &BOKMAL, &ENGLISH, &UKRAINIAN,
    &BOKMAL, &SWEDISH, &BOKMAL, &DANISH, &NYNORSK, &SAMI,
];

impl School {
    /// A school with so many pupils, enough teachers for its classes, and three guests.
    pub(super) fn new(pupils: usize) -> Self {
        let classes = pupils.div_ceil(PUPILS_IN_A_CLASS).max(2);
        let mut made = Maker::default();
        // Each class has its teacher, and some teach without a class of their own.
        let teachers = classes + classes.div_ceil(3);
        for number in 0..teachers {
            made.person(Role::Teacher, format!("t{}", 101 + number), number);
        }
        let mut school = Self { people: Vec::new(), classes: Vec::new() };
        for number in 0..classes {
            school.classes.push(Class { name: class(number), pupils: Vec::new(), teacher: number });
        }
        for number in 0..pupils {
            let of = number % classes;
            school.classes[of].pupils.push(made.people.len());
            made.person(Role::Student, format!("p{}", 1001 + number), of);
        }
        for number in 0..3 {
            made.person(Role::Guest, format!("g{}", 1 + number), number);
        }
        school.people = made.people;
        school
    }

    pub(super) fn count(&self, role: Role) -> usize {
        self.people.iter().filter(|person| person.role == role).count()
    }

    /// A class's members, as places in [`School::people`].
    pub(super) fn members(&self, class: usize) -> Vec<usize> {
        let class = &self.classes[class];
        std::iter::once(class.teacher).chain(class.pupils.iter().copied()).collect()
    }
}

/// `class-7A` to `class-10A`, then `class-7B` and so on.
fn class(number: usize) -> String {
    let section = number / 4;
    let letter = char::from(b'A' + (section % 26) as u8);
    // A school of thousands runs out of letters.
    let more = if section < 26 { String::new() } else { (section / 26).to_string() };
    format!("class-{}{letter}{more}", 7 + number % 4)
}

#[derive(Default)]
struct Maker {
    people: Vec<Person>,
    taken: HashSet<String>,
}

impl Maker {
    fn person(&mut self, role: Role, external_id: String, building: usize) {
        let number = self.people.len();
        let names = ROUND[number % ROUND.len()];
        // Each round shifts the family names by one, so that pairs repeat late.
        let turn = number / ROUND.len() + number;
        let (given, first) = names.given[turn % names.given.len()];
        let shifted = turn / names.given.len() + turn;
        let (family, last) = names.family[shifted % names.family.len()];
        let mut local = format!("{first}.{last}");
        let mut copy = 2;
        while !self.taken.insert(local.clone()) {
            local = format!("{first}.{last}{copy}");
            copy += 1;
        }
        self.people.push(Person {
            external_id,
            role,
            given,
            family,
            user_name: format!("{local}@{DOMAIN}"),
            language: names.language,
            building: BUILDINGS[building % BUILDINGS.len()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_name_of_their_own() {
        let school = School::new(2_000);
        let names: HashSet<_> = school.people.iter().map(|person| &person.user_name).collect();
        let ids: HashSet<_> = school.people.iter().map(|person| &person.external_id).collect();
        assert_eq!((names.len(), ids.len()), (school.people.len(), school.people.len()));
        assert!(names.iter().all(|name| name.is_ascii()));
    }

    #[test]
    fn the_smallest_school_has_two_classes_and_several_languages() {
        let school = School::new(12);
        let classes: Vec<_> = school.classes.iter().map(|class| class.name.as_str()).collect();
        assert_eq!(classes, ["class-7A", "class-8A"]);
        assert_eq!(school.count(Role::Student), 12);
        let languages: HashSet<_> = school.people.iter().map(|person| person.language).collect();
        assert!(languages.len() >= 8, "{languages:?}");
    }

    #[test]
    fn a_pupil_is_in_one_class() {
        let school = School::new(100);
        let seated: Vec<_> = school.classes.iter().flat_map(|class| &class.pupils).collect();
        let distinct: HashSet<_> = seated.iter().collect();
        assert_eq!((seated.len(), distinct.len()), (100, 100));
    }
}
