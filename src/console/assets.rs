//! The style sheet, the script and the mark, built in. Each is served under a name that has its
//! hash in it, so that a browser may keep it for ever and never has an old one.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use super::trouble::Trouble;

#[derive(RustEmbed)]
#[folder = "src/console/static"]
struct Files;

struct Asset {
    kind: &'static str,
    body: std::borrow::Cow<'static, [u8]>,
}

/// By the name they are served under.
static SERVED: LazyLock<BTreeMap<String, Asset>> = LazyLock::new(|| {
    let asset = |name: &str| Some(Asset { kind: kind(name), body: Files::get(name)?.data });
    Files::iter().filter_map(|name| Some((served_as(&name)?, asset(&name)?))).collect()
});

/// Where a page finds a file: `/static/console.9fS3….css` for `console.css`.
pub(super) fn address(name: &str) -> Option<String> {
    Some(format!("/static/{}", served_as(name)?))
}

fn served_as(name: &str) -> Option<String> {
    let body = Files::get(name)?.data;
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(&body));
    let (stem, ending) = name.rsplit_once('.')?;
    Some(format!("{stem}.{}.{ending}", &hash[..12]))
}

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

pub(super) async fn serve(Path(name): Path<String>) -> Result<Response, Trouble> {
    let asset = SERVED.get(&name).ok_or(Trouble::NotFound)?;
    let headers = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, asset.body.clone()).into_response())
}
