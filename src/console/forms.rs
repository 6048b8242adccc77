//! Forms that may be sent once. What they make is shown on the answer itself, so a page that is loaded
//! again would make another.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::trouble::Trouble;
use crate::ids;
use crate::operator::SessionId;

/// Sessions; more are about people who have left.
const MOST: usize = 1_000;
/// Of one session, in as many tabs.
const EACH: usize = 16;

type Open = HashMap<SessionId, VecDeque<String>>;

#[derive(Clone, Default)]
pub(super) struct Forms(Arc<Mutex<Open>>);

impl Forms {
    /// For a hidden field of the form.
    pub(super) fn open(&self, session: SessionId) -> String {
        let id = URL_SAFE_NO_PAD.encode(ids::secret_bytes::<12>());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST && !all.contains_key(&session) {
            all.clear();
        }
        let own = all.entry(session).or_default();
        if own.len() >= EACH {
            own.pop_front();
        }
        own.push_back(id.clone());
        id
    }

    /// Only the first who sends it gets through.
    pub(super) fn take(&self, session: SessionId, id: &str) -> Result<(), Trouble> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.get_mut(&session);
        let taken = own.and_then(|own| {
            let place = own.iter().position(|known| known == id)?;
            own.remove(place)
        });
        let why = "this form was sent already, or was open for too long. What it made was shown \
                   then, that once; open it anew to make another";
        taken.map(|_| ()).ok_or_else(|| Trouble::Invalid(why.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_sent_once_and_by_whoever_opened_it() {
        let forms = Forms::default();
        let (ingrid, jonas) = (SessionId(1), SessionId(2));
        let id = forms.open(ingrid);
        assert!(forms.take(jonas, &id).is_err());
        assert!(forms.take(ingrid, "made up").is_err());
        assert!(forms.take(ingrid, &id).is_ok());
        assert!(forms.take(ingrid, &id).is_err(), "a page that is loaded again makes nothing");
    }

    #[test]
    fn the_oldest_forms_of_a_session_are_let_go() {
        let forms = Forms::default();
        let session = SessionId(1);
        let ids: Vec<String> = (0..=EACH).map(|_| forms.open(session)).collect();
        assert!(forms.take(session, &ids[0]).is_err());
        assert!(forms.take(session, &ids[1]).is_ok());
    }
}
