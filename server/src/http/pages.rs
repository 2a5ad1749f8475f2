//! The playable page and the monitor page, embedded in the binary. Their sources are in
//! `server/web`, which builds them into `server/src/web/dist`.
//!
//! Pages link their assets with a hash of the content, so browsers cache assets for ever. A page
//! itself is revalidated each time, and sent again only if it has changed.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::OnceLock,
};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

/// The routes of all pages and their assets.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().fold(Router::new(), |router, file| {
        router.route(file.route, get(async |headers: HeaderMap| file.answer(&headers)))
    })
}

#[derive(Debug)]
struct File {
    route: &'static str,
    kind: &'static str,
    cache: &'static str,
    bytes: &'static [u8],
    /// The ETag, a hash of the content, computed at first use.
    tag: OnceLock<String>,
}

static FILES: [File; 5] = [
    page("/", include_bytes!("../web/dist/index.html")),
    page("/monitor", include_bytes!("../web/dist/monitor.html")),
    asset("/assets/play.js", SCRIPT, include_bytes!("../web/dist/assets/play.js")),
    asset("/assets/monitor.js", SCRIPT, include_bytes!("../web/dist/assets/monitor.js")),
    asset("/assets/style.css", STYLE, include_bytes!("../web/dist/assets/style.css")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

const fn page(route: &'static str, bytes: &'static [u8]) -> File {
    File { route, kind: "text/html; charset=utf-8", cache: "no-cache", bytes, tag: OnceLock::new() }
}

const fn asset(route: &'static str, kind: &'static str, bytes: &'static [u8]) -> File {
    File { route, kind, cache: "public, max-age=31536000, immutable", bytes, tag: OnceLock::new() }
}

impl File {
    fn answer(&self, headers: &HeaderMap) -> Response {
        let tag = self.tag();
        let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
        let cached = [(header::CACHE_CONTROL, self.cache), (header::ETAG, tag)];
        if known.is_some_and(|known| known.split(',').any(|known| known.trim() == tag)) {
            return (StatusCode::NOT_MODIFIED, cached).into_response();
        }
        (cached, [(header::CONTENT_TYPE, self.kind)], self.bytes).into_response()
    }

    fn tag(&self) -> &str {
        self.tag.get_or_init(|| {
            let mut hasher = DefaultHasher::new();
            self.bytes.hash(&mut hasher);
            format!("\"{:016x}\"", hasher.finish())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_sent_once() {
        let first = FILES[0].answer(&HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[header::CACHE_CONTROL], "no-cache");
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        assert_eq!(FILES[0].answer(&headers).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(FILES[1].answer(&headers).status(), StatusCode::OK);
    }

    #[test]
    fn pages_link_what_is_there() {
        for page in &FILES[..2] {
            let html = std::str::from_utf8(page.bytes).unwrap();
            // Relative, so that they work under any path of a proxy's.
            let links = html.split('"').filter(|link| link.starts_with("assets/"));
            let is_there = |link: &str| {
                link.split_once("?v=").is_some_and(|(path, _)| {
                    let is_it = |file: &File| file.route.strip_prefix('/') == Some(path);
                    FILES.iter().any(|file| is_it(file) && !file.bytes.is_empty())
                })
            };
            let links: Vec<_> = links.collect();
            assert!(links.len() == 2 && links.iter().all(|link| is_there(link)), "{links:?}");
        }
    }
}
