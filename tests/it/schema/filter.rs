//! `$filter`: comparisons, `in`, three text functions and logical operators. Anything else is reported.

use super::{
    csdl::{Schema, TypeRef},
    value::is_literal,
};

/// Checks a filter on objects of the type `of`.
pub fn check(schema: &Schema, of: &str, text: &str) -> Result<(), String> {
    let tokens = tokens(text)?;
    let mut parser = Parser { schema, of, tokens: &tokens };
    parser.any_of()?;
    match parser.tokens {
        [] => Ok(()),
        [token, ..] => Err(format!("'{token}' is too much")),
    }
}

/// Splits into strings with their quotes, words, parentheses and commas.
fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' | ',' => 1,
            '\'' => string_length(rest).ok_or_else(|| "a string that does not end".to_owned())?,
            _ => rest.find(|c: char| c.is_whitespace() || "(),'".contains(c)).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token.to_owned());
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn string_length(text: &str) -> Option<usize> {
    let mut at = 1;
    loop {
        at += text[at..].find('\'')? + 1;
        if !text[at..].starts_with('\'') {
            return Some(at);
        }
        at += 1;
    }
}

struct Parser<'p> {
    schema: &'p Schema,
    of: &'p str,
    tokens: &'p [String],
}

impl<'p> Parser<'p> {
    fn any_of(&mut self) -> Result<(), String> {
        self.all_of()?;
        while self.take_if("or") {
            self.all_of()?;
        }
        Ok(())
    }

    fn all_of(&mut self) -> Result<(), String> {
        self.condition()?;
        while self.take_if("and") {
            self.condition()?;
        }
        Ok(())
    }

    fn condition(&mut self) -> Result<(), String> {
        if self.take_if("not") {
            return self.condition();
        }
        if self.take_if("(") {
            self.any_of()?;
            return self.expect(")");
        }
        let word = self.take()?;
        match word {
            "startswith" | "startsWith" | "endswith" | "endsWith" | "contains" => self.function(word),
            property => self.comparison(property),
        }
    }

    fn function(&mut self, name: &str) -> Result<(), String> {
        self.expect("(")?;
        let property = self.property(self.peek().unwrap_or_default())?;
        self.take()?;
        self.expect(",")?;
        if property.name != "Edm.String" || property.is_collection {
            return Err(format!("'{name}' is for text, not for '{}'", property.name));
        }
        self.literal(&property)?;
        self.expect(")")
    }

    fn comparison(&mut self, name: &str) -> Result<(), String> {
        let property = self.property(name)?;
        let operator = self.take()?;
        let is_ordered = property.name != "Edm.Boolean" && property.name.starts_with("Edm.");
        let fits = match operator {
            "eq" | "ne" | "in" => true,
            "ge" | "le" | "gt" | "lt" => is_ordered,
            _ => false,
        };
        if !fits || property.is_collection {
            return Err(format!("the operator '{operator}' does not fit '{name}'"));
        }
        if operator != "in" {
            return self.literal(&property);
        }
        self.expect("(")?;
        self.literal(&property)?;
        while self.take_if(",") {
            self.literal(&property)?;
        }
        self.expect(")")
    }

    fn property(&self, name: &str) -> Result<TypeRef, String> {
        let property = self.schema.possible_property(self.of, name);
        property.cloned().ok_or_else(|| format!("'{}' has no property '{name}'", self.of))
    }

    fn literal(&mut self, of: &TypeRef) -> Result<(), String> {
        let literal = self.take()?;
        match is_literal(self.schema, of, literal) {
            true => Ok(()),
            false => Err(format!("{literal} is not of type '{}'", of.name)),
        }
    }

    fn peek(&self) -> Option<&'p str> {
        self.tokens.first().map(String::as_str)
    }

    fn take(&mut self) -> Result<&'p str, String> {
        let (first, rest) = self.tokens.split_first().ok_or_else(|| "it ends too early".to_owned())?;
        self.tokens = rest;
        Ok(first)
    }

    fn take_if(&mut self, wanted: &str) -> bool {
        let fits = self.peek() == Some(wanted);
        if fits {
            self.tokens = &self.tokens[1..];
        }
        fits
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        match self.take()? {
            token if token == wanted => Ok(()),
            token => Err(format!("'{token}' where '{wanted}' belongs")),
        }
    }
}
