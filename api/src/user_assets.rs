//! `/user`: files of a directory that the operator names (`--web.user-assets`). Directories are not listed; one with an
//! `index.html` shows that.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::Path as UrlPath;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::Api;
use crate::ui::content_type;

/// The route, if there is a directory.
pub fn routes(directory: Option<&PathBuf>) -> Router<Arc<Api>> {
    let Some(directory) = directory.cloned() else { return Router::new() };
    let serve = move |UrlPath(path): UrlPath<String>| {
        let directory = directory.clone();
        async move { file(&directory, &path).await }
    };
    Router::new().route("/user/{*filepath}", get(serve))
}

/// A file below the directory; never one beside it.
async fn file(directory: &Path, path: &str) -> Response {
    let not_found = || (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
    if path.contains('\0') || path.split('/').any(|part| part == "..") {
        return not_found();
    }
    // An absolute path would take the place of the directory.
    let mut file = directory.join(path.trim_start_matches('/'));
    if tokio::fs::metadata(&file).await.is_ok_and(|meta| meta.is_dir()) {
        file.push("index.html");
    }
    match tokio::fs::read(&file).await {
        Ok(body) => ([(header::CONTENT_TYPE, content_type(&file.to_string_lossy()))], body).into_response(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => not_found(),
        Err(e) => {
            tracing::warn!(file = %file.display(), err = %e, "Reading a user asset failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "500 Internal Server Error\n").into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_files_below_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let assets = dir.path().join("assets");
        std::fs::create_dir_all(assets.join("sub")).unwrap();
        std::fs::write(dir.path().join("secret"), "s").unwrap();
        std::fs::write(assets.join("a.txt"), "a").unwrap();
        std::fs::write(assets.join("sub/index.html"), "i").unwrap();
        let secret = dir.path().join("secret");
        for (path, status, kind) in [
            ("a.txt", 200, "text/plain; charset=utf-8"),
            ("sub", 200, "text/html; charset=utf-8"),
            ("sub/", 200, "text/html; charset=utf-8"),
            ("sub/../a.txt", 404, ""),
            ("../secret", 404, ""),
            (secret.to_str().unwrap(), 404, ""),
            ("/a.txt", 200, "text/plain; charset=utf-8"),
            ("none", 404, ""),
            ("", 404, ""),
        ] {
            let response = file(&assets, path).await;
            assert_eq!(response.status().as_u16(), status, "{path}");
            if status == 200 {
                assert_eq!(response.headers()[header::CONTENT_TYPE], kind, "{path}");
            }
        }
    }
}
