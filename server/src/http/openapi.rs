//! The OpenAPI document of the API. The pages are not in it.

use axum::{http::header, response::IntoResponse};

const DOCUMENT: &str = include_str!("openapi.json");

pub(super) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use serde_json::Value;
    use tickwire_shared::arena::Arena;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;
    use crate::{Server, config::Config, http::api_routes};

    /// The methods that the document can name, except HEAD and OPTIONS, which come with any route.
    const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

    #[tokio::test]
    async fn the_document_has_exactly_what_the_server_answers() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let listen = ([127, 0, 0, 1], 0).into();
        let config = Config { listen, shards: 1, npcs: 0, ..Config::default() };
        let server = Server::bind::<Arena>(config).await.unwrap();
        let addr = server.addr();
        let check = async {
            assert_eq!(status(addr, "post", "/v1/matches").await, 201, "match 1 is there");
            for path in paths.keys() {
                assert!(api_routes().iter().any(|(route, _)| route == path), "no route {path}");
            }
            for (path, _) in api_routes() {
                for method in METHODS {
                    let is_documented = paths.get(path).is_some_and(|p| p.get(method).is_some());
                    let status = status(addr, method, &path.replace("{id}", "1")).await;
                    assert_ne!(status, 404, "{method} {path}");
                    assert_eq!(status != 405, is_documented, "{method} {path}: {status}");
                }
            }
        };
        tokio::select! {
            () = check => {}
            _ = server.run(std::future::pending(), std::future::pending()) => panic!("it ended"),
        }
    }

    #[test]
    fn references_lead_somewhere() {
        fn check(part: &Value, document: &Value) -> usize {
            let reference = part.get("$ref").and_then(Value::as_str);
            if let Some(to) = reference {
                assert!(document.pointer(to.trim_start_matches('#')).is_some(), "{to}");
            }
            let inner: usize = match part {
                Value::Object(fields) => fields.values().map(|part| check(part, document)).sum(),
                Value::Array(parts) => parts.iter().map(|part| check(part, document)).sum(),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
            };
            inner + usize::from(reference.is_some())
        }
        let document = serde_json::from_str(DOCUMENT).unwrap();
        assert!(check(&document, &document) > 0);
    }

    /// Streams don't end, so this reads no further than the status.
    async fn status(addr: SocketAddr, method: &str, path: &str) -> u16 {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let method = method.to_uppercase();
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut line = [0; 12];
        stream.read_exact(&mut line).await.unwrap();
        std::str::from_utf8(&line[9..]).unwrap().parse().unwrap()
    }
}
