//! Server reflection, so that grpcurl and its like need no `.proto` file.
//!
//! Source: `grpc/reflection/v1/reflection.proto`; descriptors as in `google/protobuf/descriptor.proto`.
//! What is described reads, in the language of `.proto` files:
//!
//! ```proto
//! package weft.echo.v1;
//! service Echo {
//!   rpc Say(Words) returns (Words);
//!   rpc Talk(stream Words) returns (stream Words);
//! }
//! message Words { string text = 1; string served_by = 2; }
//!
//! package grpc.health.v1;
//! service Health { rpc Check(HealthCheckRequest) returns (HealthCheckResponse); }
//! ```

use bytes::Bytes;

use super::protobuf::{Message, texts};

/// Field of `Words` with the name of the backend.
pub(super) const SERVED_BY: u64 = 2;

const ECHO: &str = "weft.echo.v1.Echo";
const HEALTH: &str = "grpc.health.v1.Health";
const NOT_FOUND: u64 = 5;

/// Answers a `ServerReflectionRequest`.
pub(super) fn answer(request: Bytes) -> Bytes {
    let response = Message::default().text(2, &request);
    let response = match asked(request) {
        Asked::Services => {
            let services = [ECHO, HEALTH].map(|name| Message::default().text(1, name));
            response.message(6, Message::default().messages(1, services))
        }
        Asked::File(file) => response.message(4, Message::default().message(1, file)),
        Asked::Unknown => {
            let error = Message::default()
                .number(1, NOT_FOUND)
                .text(2, "`weft echo` knows weft.echo.v1 and grpc.health.v1");
            response.message(7, error)
        }
    };
    response.finish()
}

enum Asked {
    Services,
    File(Message),
    Unknown,
}

fn asked(request: Bytes) -> Asked {
    const HOST: u64 = 1;
    let Some((field, value)) = texts(request).find(|(field, _)| *field != HOST) else {
        return Asked::Unknown;
    };
    match (field, String::from_utf8_lossy(&value).as_ref()) {
        (7, _) => Asked::Services,
        (3, "weft/echo/v1/echo.proto") => Asked::File(echo()),
        (3, "grpc/health/v1/health.proto") => Asked::File(health()),
        (4, symbol) if symbol.starts_with("weft.echo.v1.") => Asked::File(echo()),
        (4, symbol) if symbol.starts_with("grpc.health.v1.") => Asked::File(health()),
        _ => Asked::Unknown,
    }
}

fn echo() -> Message {
    let words = message(
        "Words",
        [text_field("text", 1), text_field("served_by", SERVED_BY)],
    );
    let say = method("Say", [".weft.echo.v1.Words"; 2]);
    let talk = method("Talk", [".weft.echo.v1.Words"; 2])
        .number(5, 1)
        .number(6, 1);
    file("weft/echo/v1/echo.proto", "weft.echo.v1")
        .message(4, words)
        .message(6, service("Echo", [say, talk]))
        .text(12, "proto3")
}

fn health() -> Message {
    const STATUS: &str = ".grpc.health.v1.HealthCheckResponse.ServingStatus";
    let values = ["UNKNOWN", "SERVING", "NOT_SERVING"];
    let values = values
        .iter()
        .zip(0..)
        .map(|(name, number)| Message::default().text(1, name).number(2, number));
    let statuses = Message::default()
        .text(1, "ServingStatus")
        .messages(2, values);
    let status = field("status", 1, 14).text(6, STATUS);
    let types = [
        ".grpc.health.v1.HealthCheckRequest",
        ".grpc.health.v1.HealthCheckResponse",
    ];
    file("grpc/health/v1/health.proto", "grpc.health.v1")
        .message(4, message("HealthCheckRequest", [text_field("service", 1)]))
        .message(
            4,
            message("HealthCheckResponse", [status]).message(4, statuses),
        )
        .message(6, service("Health", [method("Check", types)]))
        .text(12, "proto3")
}

fn file(name: &str, package: &str) -> Message {
    Message::default().text(1, name).text(2, package)
}

fn message(name: &str, fields: impl IntoIterator<Item = Message>) -> Message {
    Message::default().text(1, name).messages(2, fields)
}

fn text_field(name: &str, number: u64) -> Message {
    field(name, number, 9)
}

/// An optional field of a scalar or enum type.
fn field(name: &str, number: u64, kind: u64) -> Message {
    let field = Message::default().text(1, name).number(3, number);
    field.number(4, 1).number(5, kind)
}

fn service(name: &str, methods: impl IntoIterator<Item = Message>) -> Message {
    Message::default().text(1, name).messages(2, methods)
}

fn method(name: &str, [input, output]: [&str; 2]) -> Message {
    let method = Message::default().text(1, name);
    method.text(2, input).text(3, output)
}
