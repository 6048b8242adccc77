//! Names of Unix users and groups.

use std::fs;

/// The name of a user of this machine, as `/etc/passwd` (passwd(5)) has it.
pub fn user_name(uid: u32) -> Option<String> {
    named(&fs::read_to_string("/etc/passwd").ok()?, uid)
}

/// The name of a group of this machine, as `/etc/group` (group(5)) has it.
pub fn group_name(gid: u32) -> Option<String> {
    named(&fs::read_to_string("/etc/group").ok()?, gid)
}

/// Both files have the name in the first column and the number in the third.
fn named(file: &str, number: u32) -> Option<String> {
    file.lines().find_map(|line| {
        let mut columns = line.split(':');
        let name = columns.next()?;
        let found: u32 = columns.nth(1)?.parse().ok()?;
        (found == number && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# a comment\n\nkari:x:1000:1000::/home/kari:/bin/sh\nbroken:x:many\n";

    #[test]
    fn a_number_is_found_with_its_name() {
        assert_eq!(named(PASSWD, 0).as_deref(), Some("root"));
        assert_eq!(named(PASSWD, 1000).as_deref(), Some("kari"));
        assert_eq!(named(PASSWD, 4711), None);
        assert_eq!(user_name(0).as_deref(), Some("root"));
    }
}
