//! What a page says when it cannot be shown, or when something could not be done.

use axum::response::{IntoResponse, Redirect, Response};
use http::{StatusCode, header};

use crate::operator::OperatorError;

/// Why there is no page. A layer around all pages draws it (see `page::draw_trouble`).
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// Nobody is signed in; where they wanted to go.
    SignIn { next: String },
    /// There is no such page, or it is not theirs to know of.
    NotFound,
    /// It is there, and this person may not do that.
    Forbidden,
    /// Another site sent the form.
    Foreign,
    /// It cannot be done like that; in a sentence.
    Invalid(String),
    /// A target did not answer as it should; in a sentence.
    Target(String),
    /// The store failed.
    Store(String),
}

impl Trouble {
    /// What kept this from being a page: a handler's word, or that of whoever read the address and
    /// the form for it, who answers in plain text.
    pub(super) fn of(response: &Response) -> Option<Self> {
        let told = response.extensions().get::<Self>().cloned();
        told.or_else(|| {
            let kind = response.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
            let unread = response.status().is_client_error() && kind.starts_with("text/plain");
            let why = "The address or the form lacks something, or has something else in its place";
            unread.then(|| Self::Invalid(why.to_owned()))
        })
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::SignIn { .. } => StatusCode::SEE_OTHER,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forbidden | Self::Foreign => StatusCode::FORBIDDEN,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Target(_) => StatusCode::BAD_GATEWAY,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<OperatorError> for Trouble {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::NotFound(_) => Self::NotFound,
            OperatorError::Invalid(why) => Self::Invalid(why),
            OperatorError::Target(why) => Self::Target(why),
            OperatorError::Store(error) => Self::Store(error.to_string()),
        }
    }
}

/// Without its page, which needs to know who looks.
impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        if let Self::SignIn { next } = &self {
            let next =
                percent_encoding::utf8_percent_encode(next, percent_encoding::NON_ALPHANUMERIC);
            return Redirect::to(&format!("/sign-in?next={next}")).into_response();
        }
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
