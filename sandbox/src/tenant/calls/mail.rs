//! `POST /users/{sender}/sendMail`

use axum::http::StatusCode;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use email_address::EmailAddress;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::RequestContext;
use crate::tenant::{
    Mail,
    wire::{CallResult, ErrorResponse, GraphResponse},
};

/// The properties of a message that the sandbox implements.
const SUPPORTED: &[&str] = &[
    "attachments",
    "subject",
    "body",
    "toRecipients",
    "ccRecipients",
    "bccRecipients",
    "replyTo",
    "from",
    "sender",
    "importance",
    "internetMessageHeaders",
    "isDeliveryReceiptRequested",
    "isReadReceiptRequested",
    "singleValueExtendedProperties",
];

/// The properties of a message that Graph has and the sandbox does not implement.
const UNIMPLEMENTED: &[&str] = &[
    "bodyPreview",
    "categories",
    "conversationId",
    "conversationIndex",
    "extensions",
    "flag",
    "hasAttachments",
    "inferenceClassification",
    "internetMessageId",
    "isDraft",
    "isRead",
    "multiValueExtendedProperties",
    "parentFolderId",
    "receivedDateTime",
    "sentDateTime",
    "uniqueBody",
    "webLink",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read for its type only")]
struct Message {
    subject: String,
    body: Body,
    #[serde(default)]
    to_recipients: Vec<Recipient>,
    #[serde(default)]
    cc_recipients: Vec<Recipient>,
    #[serde(default)]
    bcc_recipients: Vec<Recipient>,
    #[serde(default)]
    reply_to: Vec<Recipient>,
    from: Option<Recipient>,
    sender: Option<Recipient>,
    importance: Option<Importance>,
    #[serde(default)]
    internet_message_headers: Vec<InternetHeader>,
    #[serde(default)]
    single_value_extended_properties: Vec<ExtendedProperty>,
    #[serde(default)]
    attachments: Vec<FileAttachment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "read for its type only")]
struct Body {
    content_type: String,
    content: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Recipient {
    email_address: Address,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read for its type only")]
struct Address {
    address: String,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Importance {
    Low,
    Normal,
    High,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read for its type only")]
struct InternetHeader {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read for its type only")]
struct ExtendedProperty {
    id: String,
    value: String,
}

/// <https://learn.microsoft.com/graph/api/resources/fileattachment>. Attachments of other types are not implemented.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "read for its type only")]
struct FileAttachment {
    #[serde(rename = "@odata.type")]
    kind: String,
    name: String,
    content_type: Option<String>,
    content_bytes: String,
    content_id: Option<String>,
    is_inline: Option<bool>,
}

/// The largest file that can be in a request: the request itself is limited to 4 MB.
/// <https://learn.microsoft.com/graph/outlook-large-attachments>
const MAX_ATTACHMENT: usize = 3 * 1024 * 1024;

/// Accepts a mail for delivery; 202 means no more than that.
pub(super) fn send(ctx: RequestContext<'_>, sender: &str) -> CallResult {
    ctx.query.allow(ctx.call, &[])?;
    let (mailbox, from) = mailbox(&ctx, sender)?;
    check_is_not_mime(&ctx)?;
    let mut body = ctx.call.json()?;
    let save_to_sent_items = save_to_sent_items(parameter(&mut body, "saveToSentItems")?)?;
    let message =
        parameter(&mut body, "message")?.ok_or_else(|| invalid("The parameter 'message' is missing."))?;
    if let Some(name) = body.keys().next() {
        return Err(invalid(format!(
            "The parameter '{name}' in the request payload is not a valid parameter."
        )));
    }
    let recipients = check(&ctx, &message, &from)?;
    ctx.submissions.entry(mailbox).or_default().submit(recipients, ctx.tenant.send_limits, ctx.now)?;
    ctx.mails.push(Mail { at: ctx.now, from, save_to_sent_items, message });
    Ok(GraphResponse::accepted())
}

/// A body of type text/plain is base64 of MIME.
fn check_is_not_mime(ctx: &RequestContext<'_>) -> Result<(), ErrorResponse> {
    if ctx.call.content_type() != Some("text/plain") {
        return Ok(());
    }
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=\r\n".contains(byte);
    if !ctx.call.body.is_empty() && ctx.call.body.iter().all(is_base64) {
        return Err(ErrorResponse::not_implemented("mails in MIME"));
    }
    let message = "Invalid base64 string for MIME content.";
    Err(ErrorResponse::new(StatusCode::BAD_REQUEST, "ErrorMimeContentInvalidBase64String", message))
}

/// Takes a parameter out of the body. Its name begins with a capital in Microsoft's schema and SDKs, and with a small
/// letter on its pages; Graph accepts both.
fn parameter(body: &mut Map<String, Value>, name: &str) -> Result<Option<Value>, ErrorResponse> {
    let names: Vec<String> = body.keys().filter(|key| key.eq_ignore_ascii_case(name)).cloned().collect();
    match names.as_slice() {
        [] => Ok(None),
        [one] => Ok(body.remove(one)),
        _ => Err(invalid(format!("The parameter '{name}' is in the request payload more than once."))),
    }
}

/// The sender and the address of the mailbox.
fn mailbox(ctx: &RequestContext<'_>, sender: &str) -> Result<(Uuid, String), ErrorResponse> {
    let person = ctx.user(sender)?;
    if !ctx.tenant.mailboxes.contains(&person.id) {
        let message = "The mailbox is either inactive, soft-deleted, or is hosted on-premise.";
        return Err(ErrorResponse::new(StatusCode::NOT_FOUND, "MailboxNotEnabledForRESTAPI", message));
    }
    if let Some(denial) = ctx.tenant.send_denied {
        return Err(denial.refusal());
    }
    Ok((person.id, person.mail.clone().unwrap_or_else(|| person.user_principal_name.clone())))
}

/// A boolean in the schema, a string in Microsoft's samples; the default is true.
fn save_to_sent_items(value: Option<Value>) -> Result<bool, ErrorResponse> {
    match value {
        None => Ok(true),
        Some(Value::Bool(save)) => Ok(save),
        Some(Value::String(text)) if text == "true" || text == "false" => Ok(text == "true"),
        Some(_) => Err(invalid("Cannot convert 'saveToSentItems' to Edm.Boolean.")),
    }
}

/// The number of recipients.
fn check(ctx: &RequestContext<'_>, message: &Value, from: &str) -> Result<usize, ErrorResponse> {
    for (name, value) in message.as_object().into_iter().flatten() {
        if name == "@odata.type" {
            check_type(value)?;
            continue;
        }
        if UNIMPLEMENTED.contains(&name.as_str()) {
            return Err(ErrorResponse::not_implemented(&format!("the message property '{name}'")));
        }
        if !SUPPORTED.contains(&name.as_str()) {
            let message = format!("The property '{name}' does not exist on type 'microsoft.graph.message'.");
            return Err(ErrorResponse::new(StatusCode::BAD_REQUEST, "RequestBodyRead", message));
        }
    }
    let message =
        Message::deserialize(message).map_err(|error| invalid(format!("Invalid message: {error}.")))?;
    check_form(&message)?;
    message.attachments.iter().try_for_each(check_attachment)?;
    check_sender(&message, from)?;
    check_recipients(ctx, &message)
}

/// Microsoft's SDKs send the message's type.
fn check_type(name: &Value) -> Result<(), ErrorResponse> {
    match name.as_str().map(|name| name.trim_start_matches('#')) {
        Some("microsoft.graph.message") => Ok(()),
        _ => Err(invalid(format!("A type named {name} is not expected here."))),
    }
}

fn check_attachment(attachment: &FileAttachment) -> Result<(), ErrorResponse> {
    if attachment.kind.trim_start_matches('#') != "microsoft.graph.fileAttachment" {
        return Err(ErrorResponse::not_implemented(&format!("attachments of type {}", attachment.kind)));
    }
    match STANDARD.decode(&attachment.content_bytes) {
        Err(_) => Err(invalid("Cannot convert the literal to the expected type 'Edm.Binary'.")),
        Ok(bytes) if bytes.len() > MAX_ATTACHMENT => {
            let message = "The maximum request length supported is 4MB.";
            Err(ErrorResponse::new(StatusCode::PAYLOAD_TOO_LARGE, "ErrorMessageSizeExceeded", message))
        }
        Ok(_) => Ok(()),
    }
}

fn check_form(message: &Message) -> Result<(), ErrorResponse> {
    let kind = &message.body.content_type;
    if !(kind.eq_ignore_ascii_case("html") || kind.eq_ignore_ascii_case("text")) {
        return Err(invalid(format!("Requested value '{kind}' was not found.")));
    }
    let is_custom = |header: &InternetHeader| header.name.to_ascii_lowercase().starts_with("x-");
    if let Some(header) = message.internet_message_headers.iter().find(|header| !is_custom(header)) {
        let text =
            format!("The internet message header name '{}' should start with 'x-' or 'X-'.", header.name);
        return Err(ErrorResponse::new(StatusCode::BAD_REQUEST, "InvalidInternetMessageHeader", text));
    }
    Ok(())
}

fn check_sender(message: &Message, mailbox: &str) -> Result<(), ErrorResponse> {
    let is_other = |sender: &Recipient| !sender.email_address.address.eq_ignore_ascii_case(mailbox);
    if message.from.iter().chain(&message.sender).any(is_other) {
        let text = "The user account which was used to submit this request does not have the right to send mail on \
                    behalf of the specified sending account.";
        return Err(ErrorResponse::new(StatusCode::FORBIDDEN, "ErrorSendAsDenied", text));
    }
    Ok(())
}

fn check_recipients(ctx: &RequestContext<'_>, message: &Message) -> Result<usize, ErrorResponse> {
    let Message { to_recipients, cc_recipients, bcc_recipients, reply_to, .. } = message;
    let recipients = || to_recipients.iter().chain(cc_recipients).chain(bcc_recipients);
    let address = |recipient: &Recipient| recipient.email_address.address.clone();
    let is_refused = |address: &String| !is_plausible(address) || ctx.tenant.undeliverable.contains(address);
    let problem = if recipients().next().is_none() {
        "A message can't be sent because it contains no recipients.".to_owned()
    } else if let Some(refused) = recipients().chain(reply_to).map(address).find(is_refused) {
        format!(
            "Recipient '{refused}' is not resolved. All recipients must be resolved before a message can be submitted."
        )
    } else {
        return Ok(recipients().count());
    };
    let text = format!("At least one recipient is not valid., {problem}");
    Err(ErrorResponse::new(StatusCode::BAD_REQUEST, "ErrorInvalidRecipients", text))
}

/// Whether mail can be sent there: a domain in letters other than ASCII and the literal of an IP address are not resolved.
fn is_plausible(address: &str) -> bool {
    let domain = address.rsplit('@').next().unwrap_or_default();
    EmailAddress::is_valid(address) && domain.contains('.') && domain.is_ascii() && !domain.starts_with('[')
}

fn invalid(message: impl Into<String>) -> ErrorResponse {
    ErrorResponse::new(StatusCode::BAD_REQUEST, "ErrorInvalidParameter", message)
}
