//! The web UI: files that the UI build left in `ui/dist`, embedded in the binary; a page that says how to build them
//! when there are none.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use rust_embed::RustEmbed;

use crate::{Api, redirect};

/// Paths that the UI's own router shows; each is answered with its index page.
const PAGES: [&str; 3] = ["/query", "/targets", "/alerts"];

#[derive(RustEmbed)]
#[folder = "../ui/dist"]
#[allow_missing = true]
struct Files;

/// Whether the UI was built into this binary.
pub fn is_built() -> bool {
    Files::get("index.html").is_some()
}

/// How to build the UI, for the page and the log.
pub const HOW_TO_BUILD: &str = "install Node.js 20 or newer and run `make ui`, then build the server again";

/// The UI's routes.
pub fn routes() -> Router<Arc<Api>> {
    let home =
        |State(api): State<Arc<Api>>| async move { redirect(&format!("{}/query", api.options.prefix)) };
    let graph = |State(api): State<Arc<Api>>, RawQuery(query): RawQuery| async move {
        let query = query.map_or_else(String::new, |q| format!("?{q}"));
        redirect(&format!("{}/query{query}", api.options.prefix))
    };
    let mut routes = Router::new()
        .route("/", get(home))
        .route("/graph", get(graph))
        .route("/favicon.svg", get(|headers: HeaderMap| async move { file("favicon.svg", &headers) }))
        .route("/assets/{*path}", get(asset));
    for page in PAGES {
        routes = routes.route(page, get(index));
    }
    routes
}

async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    file(&format!("assets/{path}"), &headers)
}

/// A file, compressed if the build left it so and the client takes it.
fn file(path: &str, headers: &HeaderMap) -> Response {
    let gzip = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.split(',').any(|coding| coding.trim().starts_with("gzip")));
    let compressed = if gzip { Files::get(&format!("{path}.gz")) } else { None };
    let (file, encoding) = match (compressed, Files::get(path)) {
        (Some(file), _) => (file, Some("gzip")),
        (None, Some(file)) => (file, None),
        (None, None) => return (StatusCode::NOT_FOUND, "404 page not found\n").into_response(),
    };
    let mut response = file.data.into_owned().into_response();
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, content_type(path));
    out.insert(header::VARY, header::HeaderValue::from_static("Accept-Encoding"));
    if let Some(encoding) = encoding {
        out.insert(header::CONTENT_ENCODING, header::HeaderValue::from_static(encoding));
    }
    // Names below assets/ carry a hash of their content.
    if path.starts_with("assets/") {
        let forever = header::HeaderValue::from_static("public, max-age=31536000, immutable");
        out.insert(header::CACHE_CONTROL, forever);
    }
    response
}

/// The Content-Type of a file by its name.
pub fn content_type(path: &str) -> header::HeaderValue {
    header::HeaderValue::from_static(match path.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("html") => "text/html; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("woff2") => "font/woff2",
        Some("png") => "image/png",
        Some("gif") => "image/gif",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("ico") => "image/x-icon",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    })
}

/// The index page, told where the server stands and what the flags say.
async fn index(State(api): State<Arc<Api>>) -> Response {
    let Some(page) = Files::get("index.html") else {
        let not_built = include_str!("not_built.html").replace("HOW_TO_BUILD", HOW_TO_BUILD);
        return Html(not_built).into_response();
    };
    let settings = serde_json::json!({
        "prefix": api.options.prefix,
        "title": api.options.page_title,
        "lookbackDelta": model::time::DurationText(api.options.lookback_delta).to_string(),
    });
    // `<` cannot end the script element early when it is escaped.
    let settings = settings.to_string().replace('<', "\\u003c");
    let title = api.options.page_title.replace('&', "&amp;").replace('<', "&lt;");
    let page = String::from_utf8_lossy(&page.data)
        .replace("PREFIX_PLACEHOLDER", &api.options.prefix)
        .replace("TITLE_PLACEHOLDER", &title)
        .replace("\"SETTINGS_PLACEHOLDER\"", &settings);
    ([(header::CACHE_CONTROL, "no-store")], Html(page)).into_response()
}
