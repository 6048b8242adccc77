//! What a browser remembers of its reader: the colours. Without JavaScript the buttons at the foot
//! of the menu post here; with it they need not.

use axum::Router;
use axum::extract::Form;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::post;
use http::{HeaderMap, Uri, header};
use serde::Deserialize;

use crate::console::Console;
use crate::console::reader::Theme;
use crate::console::trouble::Trouble;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/preferences", post(keep))
}

#[derive(Deserialize)]
struct Wish {
    theme: String,
}

async fn keep(headers: HeaderMap, Form(wish): Form<Wish>) -> Result<Response, Trouble> {
    let theme = Theme::parse(&wish.theme)
        .ok_or_else(|| Trouble::Invalid(format!("`{}` are no colours", wish.theme)))?;
    let cookie = format!("theme={}; Path=/; Max-Age=31536000; SameSite=Lax", theme.word());
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to(&back(&headers)))
        .into_response())
}

/// The page they came from, on this console; never another host.
fn back(headers: &HeaderMap) -> String {
    let referer = headers.get(header::REFERER).and_then(|value| value.to_str().ok());
    let uri = referer.and_then(|referer| referer.parse::<Uri>().ok());
    let path = uri.as_ref().and_then(Uri::path_and_query).map(ToString::to_string);
    path.filter(|path| path.starts_with('/') && !path.starts_with("//"))
        .unwrap_or_else(|| "/".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_chose_colours_goes_back_and_nowhere_else() {
        for (referer, to) in [
            ("http://127.0.0.1:8081/people?q=kari", "/people?q=kari"),
            ("https://evil.example//evil.example/", "/"),
            ("nonsense", "/"),
            ("", "/"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::REFERER, referer.parse().unwrap());
            assert_eq!(back(&headers), to, "{referer}");
        }
    }
}
