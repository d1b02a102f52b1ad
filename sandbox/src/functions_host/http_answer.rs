//! The answer to the caller of an HTTP function, read from the http output. Observed on the Functions host 4.1037.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{
    dotnet::{Fields, Token},
    unsized_body::UnsizedBody,
};

/// The answer to an HTTP caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HttpAnswer {
    status: StatusCode,
    headers: Vec<(String, String)>,
    body: String,
}

impl HttpAnswer {
    /// The answer when the handler returned no `Outputs`.
    pub(super) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: Vec::new(), body: String::new() }
    }

    /// The answer when `Outputs` has no http output.
    pub(super) fn without_output() -> Self {
        Self { status: StatusCode::OK, headers: vec![text_plain()], body: "{}".to_owned() }
    }

    /// Reads `{statusCode, headers, body}`, or a text that holds it as JSON. `status` is not read.
    pub(super) fn read(output: &Token) -> Result<Self, String> {
        match output {
            Token::Object(fields) => Self::read_fields(fields),
            Token::String(text) => match serde_json::from_str(text) {
                Ok(Token::Object(fields)) => Self::read_fields(&fields),
                _ => Err(unreadable()),
            },
            _ => Err(unreadable()),
        }
    }

    fn read_fields(fields: &Fields) -> Result<Self, String> {
        let status = match fields.property("statusCode") {
            Token::Null => StatusCode::OK,
            status => status
                .text()
                .parse()
                .ok()
                .and_then(|code| StatusCode::from_u16(code).ok())
                .ok_or_else(unreadable)?,
        };
        let mut headers = Vec::new();
        match fields.property("headers") {
            Token::Null => {}
            Token::Object(fields) => {
                for (name, value) in &fields.0 {
                    if matches!(value, Token::Array(_) | Token::Object(_)) {
                        return Err(unreadable());
                    }
                    headers.push((name.clone(), value.text()));
                }
            }
            _ => return Err(unreadable()),
        }
        match headers.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            Some((_, media)) if media.to_ascii_lowercase().contains("charset=") => {}
            Some((_, media)) => media.push_str("; charset=utf-8"),
            None => headers.push(text_plain()),
        }
        Ok(Self { status, headers, body: fields.property("body").text() })
    }

    fn header(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }
}

impl IntoResponse for HttpAnswer {
    fn into_response(self) -> Response {
        let length = self.header("content-length");
        // With another length than the body's, the connection ends before the body.
        let is_cut_off = length.is_some_and(|length| length != self.body.len().to_string());
        let mut response = Response::builder().status(self.status);
        for (name, value) in &self.headers {
            // hyper refuses the response with both; Kestrel sends both.
            if length.is_none() || !name.eq_ignore_ascii_case("transfer-encoding") {
                response = response.header(name, value);
            }
        }
        let body = if is_cut_off { UnsizedBody::cut_off() } else { UnsizedBody::body(self.body) };
        // The handler set an invalid header.
        response.body(body).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }
}

fn text_plain() -> (String, String) {
    ("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())
}

/// Omits the value, which may contain a code.
fn unreadable() -> String {
    "the http output is not of the form {statusCode, headers, body}".to_owned()
}
