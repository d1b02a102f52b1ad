//! How the company's mails look: colours and images.

use std::{fmt, str::FromStr, sync::Arc};

use serde::Serialize;

/// The largest image that is sent with each mail, in bytes.
pub(crate) const MAX_IMAGE: u64 = 100 * 1024;

/// A colour of a mail: `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color([u8; 3]);

/// The card of a mail, in a light and in a dark client (`templates/base.html.j2`).
const CARD: Color = Color([0xff, 0xff, 0xff]);
const DARK_CARD: Color = Color([0x20, 0x26, 0x2d]);
/// What text needs at least (<https://www.w3.org/TR/WCAG22/#contrast-minimum>).
const CONTRAST: f64 = 4.5;

impl FromStr for Color {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.strip_prefix('#').ok_or(())?;
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(());
        }
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| ());
        Ok(Self([part(0)?, part(2)?, part(4)?]))
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl Color {
    /// Reads a colour in which text on the white card of a mail can be read.
    ///
    /// # Errors
    /// As the rest of a sentence.
    pub fn readable(text: &str) -> Result<Self, String> {
        let color: Self = text.parse().map_err(|()| format!("is no colour like #0b57a4: \"{text}\""))?;
        let contrast = color.contrast(CARD);
        if contrast < CONTRAST {
            return Err(format!(
                "is too light to be read on white: {color} has a contrast of {contrast:.1}, and {CONTRAST} is the least"
            ));
        }
        Ok(color)
    }

    /// <https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio>
    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance() + 0.05, other.luminance() + 0.05);
        one.max(two) / one.min(two)
    }

    /// <https://www.w3.org/TR/WCAG22/#dfn-relative-luminance>
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// The same colour, as much lighter as text on the dark card needs.
    fn for_dark(self) -> Self {
        let lighter = |step: u16| {
            Self(self.0.map(|part| (u16::from(part) + (255 - u16::from(part)) * step / 20) as u8))
        };
        (0..=20).map(lighter).find(|color| color.contrast(DARK_CARD) >= CONTRAST).unwrap_or(CARD)
    }
}

/// An image of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// At an `https:` address. Mail clients ask their reader first, and its host sees who reads.
    At(String),
    /// Sent with each mail, and shown without being asked for.
    Inline(Arc<InlineImage>),
}

/// An image that is sent with a mail.
#[derive(PartialEq, Eq)]
pub struct InlineImage {
    /// What the HTML refers to as `cid:…`.
    pub content_id: &'static str,
    /// The name of the file.
    pub name: String,
    /// `image/png`, `image/jpeg` or `image/gif`.
    pub content_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for InlineImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InlineImage").field("name", &self.name).finish_non_exhaustive()
    }
}

impl InlineImage {
    /// The image in a file. SVG and WebP are shown by few mail clients.
    ///
    /// # Errors
    /// As the rest of a sentence, if it is none of the three kinds.
    pub(crate) fn new(content_id: &'static str, name: &str, bytes: Vec<u8>) -> Result<Self, String> {
        let content_type = match bytes.as_slice() {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => "image/png",
            [0xff, 0xd8, 0xff, ..] => "image/jpeg",
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "image/gif",
            _ => return Err(format!("is no PNG, JPEG or GIF file: \"{name}\"")),
        };
        Ok(Self { content_id, name: name.to_owned(), content_type, bytes })
    }
}

/// How the company's mails look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brand {
    /// The line at the top and the links.
    pub accent: Color,
    /// The text.
    pub text: Color,
    /// Above the text.
    pub logo: Option<Image>,
    /// Below the mail.
    pub footer_image: Option<Image>,
    /// Where `footer_image` leads, or, without one, a link below the mail; an `https:` address.
    pub footer_link: Option<String>,
}

impl Default for Brand {
    fn default() -> Self {
        let (accent, text) = (Color([0x0b, 0x57, 0xa4]), Color([0x1f, 0x29, 0x33]));
        Self { accent, text, logo: None, footer_image: None, footer_link: None }
    }
}

/// `brand` in the templates.
#[derive(Debug, Serialize)]
pub(crate) struct BrandValues<'a> {
    accent: String,
    accent_in_dark: String,
    text: String,
    logo: Option<String>,
    logo_alt: &'a str,
    footer_logo: Option<String>,
    footer_alt: &'a str,
    footer_link: Option<&'a str>,
}

impl Brand {
    pub(crate) fn values<'a>(&'a self, company: Option<&'a str>) -> BrandValues<'a> {
        let source = |image: &Image| match image {
            Image::At(address) => address.clone(),
            Image::Inline(image) => format!("cid:{}", image.content_id),
        };
        BrandValues {
            accent: self.accent.to_string(),
            accent_in_dark: self.accent.for_dark().to_string(),
            text: self.text.to_string(),
            logo: self.logo.as_ref().map(source),
            // Without the image the name is what remains of it; without a name it says nothing.
            logo_alt: company.unwrap_or_default(),
            footer_logo: self.footer_image.as_ref().map(source),
            // A link needs a text.
            footer_alt: self.footer_link.as_deref().or(company).unwrap_or_default(),
            footer_link: self.footer_link.as_deref(),
        }
    }

    /// The images to send with a mail.
    pub(crate) fn inline_images(&self) -> Vec<Arc<InlineImage>> {
        let images = [&self.logo, &self.footer_image].into_iter().flatten();
        images
            .filter_map(|image| if let Image::Inline(image) = image { Some(image.clone()) } else { None })
            .collect()
    }

    /// The addresses that the mails show or lead to.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &str> {
        let images = [&self.logo, &self.footer_image].into_iter().flatten();
        images
            .filter_map(|image| match image {
                Image::At(address) => Some(address.as_str()),
                Image::Inline(_) => None,
            })
            .chain(self.footer_link.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_that_cannot_be_read_on_white_is_refused() {
        for (text, contrast) in [("#000000", 21.0), ("#0b57a4", 7.2), ("#767676", 4.54)] {
            let color = Color::readable(text).unwrap();
            assert!((color.contrast(CARD) - contrast).abs() < 0.1, "{text}: {}", color.contrast(CARD));
            assert_eq!(color.to_string(), text);
        }
        assert!(Color::readable("#777777").unwrap_err().contains("4.5 is the least"));
        for text in ["", "0b57a4", "#0b57a", "#0b57a4ff", "#0b57ag", "red", "#ééé", "#+1+1+1"] {
            assert!(Color::readable(text).unwrap_err().starts_with("is no colour"), "{text}");
        }
    }

    #[test]
    fn every_accent_can_be_read_in_the_dark() {
        for color in ["#000000", "#0b57a4", "#767676", "#7a0000", "#00008b"] {
            let color: Color = color.parse().unwrap();
            assert!(color.for_dark().contrast(DARK_CARD) >= CONTRAST, "{color}");
        }
    }

    #[test]
    fn an_image_is_what_its_bytes_say() {
        let kind = |bytes: &[u8]| {
            InlineImage::new("logo", "logo.png", bytes.to_vec()).map(|image| image.content_type)
        };
        assert_eq!(kind(b"\x89PNG\r\n\x1a\n1"), Ok("image/png"));
        assert_eq!(kind(b"\xff\xd8\xff\xe0"), Ok("image/jpeg"));
        assert_eq!(kind(b"GIF89a"), Ok("image/gif"));
        for other in [&b""[..], b"<svg", b"RIFF\0\0\0\0WEBP", b"\x89PNG"] {
            assert!(kind(other).is_err());
        }
    }
}
