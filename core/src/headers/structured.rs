//! Lists and dictionaries of structured fields (RFC 9651 §3.1, §3.2), as far as caches need
//! their values: integers, booleans and strings. Everything else is checked by the letter,
//! since one error voids a field whole, but not kept.

use alloc::string::String;
use alloc::vec::Vec;

/// The value of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// An Integer (§3.3.1).
    Integer(i64),
    /// A Boolean (§3.3.6), or a key alone.
    Boolean(bool),
    /// A String (§3.3.3).
    String(String),
    /// An Inner List (§3.1.1) of Strings and nothing else.
    Strings(Vec<String>),
    /// Another type.
    Other,
}

/// A member of a dictionary with all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its key.
    pub key: &'a str,
    /// Its value and parameters as they stand behind the `=`; empty for a key alone.
    pub text: &'a str,
    /// Its value.
    pub value: Value,
    /// Its parameters (§3.1.2) in their order, those that are repeated too: the last counts.
    pub parameters: Vec<(&'a str, Value)>,
}

/// Reads a dictionary; `None` when it breaks the grammar anywhere. Of several members with
/// one key the last counts. Linear in the length but for repeated keys.
pub fn dictionary(text: &[u8]) -> Option<Vec<(&str, Value)>> {
    let members = members(text)?;
    Some(members.into_iter().map(|member| (member.key, member.value)).collect())
}

/// The same with parameters, and with the text of each member.
pub fn members(text: &[u8]) -> Option<Vec<Member<'_>>> {
    let mut parser = Parser { rest: text };
    let mut members: Vec<Member<'_>> = Vec::new();
    parser.skip(b" ");
    while !parser.rest.is_empty() {
        let key = parser.key()?;
        let has_value = parser.eat(b'=');
        let begin = parser.rest;
        let (value, parameters) = match has_value {
            true => parser.item_or_inner_list()?,
            false => (Value::Boolean(true), parser.parameters()?),
        };
        let text = begin.get(..begin.len() - parser.rest.len()).filter(|_| has_value);
        let text = core::str::from_utf8(text.unwrap_or_default()).ok()?;
        members.retain(|other| other.key != key);
        members.push(Member { key, text, value, parameters });
        parser.separator()?;
    }
    Some(members)
}

impl Member<'_> {
    /// The parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&Value> {
        let mut last_first = self.parameters.iter().rev();
        last_first.find_map(|(other, value)| (*other == name).then_some(value))
    }
}

/// Reads a list; `None` when it breaks the grammar anywhere. Linear in the length.
pub fn list(text: &[u8]) -> Option<Vec<Value>> {
    let mut parser = Parser { rest: text };
    let mut members = Vec::new();
    parser.skip(b" ");
    while !parser.rest.is_empty() {
        members.push(parser.item_or_inner_list()?.0);
        parser.separator()?;
    }
    Some(members)
}

type Parameters<'a> = Vec<(&'a str, Value)>;

struct Parser<'a> {
    rest: &'a [u8],
}

impl<'a> Parser<'a> {
    fn skip(&mut self, bytes: &[u8]) {
        while self.rest.first().is_some_and(|b| bytes.contains(b)) {
            self.rest = &self.rest[1..];
        }
    }

    /// What stands between two members, or white space at the end.
    fn separator(&mut self) -> Option<()> {
        self.skip(b" \t");
        if self.rest.is_empty() {
            return Some(());
        }
        if !self.eat(b',') {
            return None;
        }
        self.skip(b" \t");
        // A comma at the end is an error.
        self.rest.first().map(|_| ())
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|b| !fits(*b)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// §4.2.3.3
    fn key(&mut self) -> Option<&'a str> {
        self.rest.first().filter(|b| b.is_ascii_lowercase() || **b == b'*')?;
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.*".contains(&b);
        core::str::from_utf8(self.take_while(fits)).ok()
    }

    /// §4.2.1.1
    fn item_or_inner_list(&mut self) -> Option<(Value, Parameters<'a>)> {
        if !self.eat(b'(') {
            return self.item();
        }
        let mut items = Vec::new();
        loop {
            self.skip(b" ");
            if self.eat(b')') {
                break;
            }
            items.push(self.item()?.0);
            // Items are set apart by spaces.
            self.rest.first().filter(|b| matches!(b, b' ' | b')'))?;
        }
        let parameters = self.parameters()?;
        let strings = items.into_iter().map(|item| match item {
            Value::String(text) => Some(text),
            _ => None,
        });
        let value = strings.collect::<Option<_>>().map_or(Value::Other, Value::Strings);
        Some((value, parameters))
    }

    /// §4.2.3
    fn item(&mut self) -> Option<(Value, Parameters<'a>)> {
        Some((self.bare_item()?, self.parameters()?))
    }

    /// §4.2.3.2
    fn parameters(&mut self) -> Option<Parameters<'a>> {
        let mut parameters = Vec::new();
        while self.eat(b';') {
            self.skip(b" ");
            let key = self.key()?;
            let value = match self.eat(b'=') {
                true => self.bare_item()?,
                false => Value::Boolean(true),
            };
            parameters.push((key, value));
        }
        Some(parameters)
    }

    /// §4.2.3.1
    fn bare_item(&mut self) -> Option<Value> {
        match *self.rest.first()? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string(),
            b'*' | b'A'..=b'Z' | b'a'..=b'z' => self.token(),
            b':' => self.byte_sequence(),
            b'?' => self.boolean(),
            b'@' => self.date(),
            b'%' => self.display_string(),
            _ => None,
        }
    }

    /// §4.2.4: at most 15 digits, or 12 and a fraction of at most 3.
    fn number(&mut self) -> Option<Value> {
        let negative = self.eat(b'-');
        let digits = self.take_while(|b| b.is_ascii_digit());
        if !self.eat(b'.') {
            if !(1..=15).contains(&digits.len()) {
                return None;
            }
            let number = digits.iter().fold(0i64, |n, b| n * 10 + i64::from(b - b'0'));
            return Some(Value::Integer(if negative { -number } else { number }));
        }
        let fraction = self.take_while(|b| b.is_ascii_digit());
        let fits = (1..=12).contains(&digits.len()) && (1..=3).contains(&fraction.len());
        fits.then_some(Value::Other)
    }

    /// §4.2.5
    fn string(&mut self) -> Option<Value> {
        self.eat(b'"');
        let mut string = String::new();
        loop {
            let plain = self.take_while(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\');
            string.push_str(core::str::from_utf8(plain).ok()?);
            if self.eat(b'"') {
                return Some(Value::String(string));
            }
            match self.rest {
                [b'\\', escaped @ (b'"' | b'\\'), rest @ ..] => {
                    string.push(char::from(*escaped));
                    self.rest = rest;
                }
                _ => return None,
            }
        }
    }

    /// §4.2.6
    fn token(&mut self) -> Option<Value> {
        self.take_while(|b| super::list::is_token_byte(b) || b == b':' || b == b'/');
        Some(Value::Other)
    }

    /// §4.2.7: base64, padded or not.
    fn byte_sequence(&mut self) -> Option<Value> {
        self.eat(b':');
        let digits = self.take_while(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/').len();
        let padding = self.take_while(|b| b == b'=').len();
        let fits = digits % 4 != 1
            && (padding == 0 || (padding < 3 && (digits + padding).is_multiple_of(4)));
        (fits && self.eat(b':')).then_some(Value::Other)
    }

    /// §4.2.8
    fn boolean(&mut self) -> Option<Value> {
        self.eat(b'?');
        if self.eat(b'1') {
            return Some(Value::Boolean(true));
        }
        self.eat(b'0').then_some(Value::Boolean(false))
    }

    /// §4.2.9: a date is an integer behind `@`.
    fn date(&mut self) -> Option<Value> {
        self.eat(b'@');
        let number = self.number()?;
        matches!(number, Value::Integer(_)).then_some(Value::Other)
    }

    /// §4.2.10: percent-encoded UTF-8 in lower case.
    fn display_string(&mut self) -> Option<Value> {
        self.eat(b'%');
        if !self.eat(b'"') {
            return None;
        }
        let mut decoded = Vec::new();
        loop {
            match *self.rest.first()? {
                b'"' => {
                    self.eat(b'"');
                    return core::str::from_utf8(&decoded).ok().map(|_| Value::Other);
                }
                b'%' => {
                    let [high, low] = *self.rest.get(1..3)?.first_chunk()?;
                    let digit =
                        |b: u8| char::from(b).to_digit(16).filter(|_| !b.is_ascii_uppercase());
                    decoded.push((digit(high)? * 16 + digit(low)?) as u8);
                    self.rest = &self.rest[3..];
                }
                byte @ b' '..=b'~' => {
                    decoded.push(byte);
                    self.rest = &self.rest[1..];
                }
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Value::{Boolean, Integer, Other, Strings};

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let read = |text: &'static str| dictionary(text.as_bytes()).unwrap();
        assert_eq!(
            read("a=?0, b, c; foo=bar"),
            [("a", Boolean(false)), ("b", Boolean(true)), ("c", Boolean(true))]
        );
        assert_eq!(
            read("rating=1.5, feelings=(joy sadness)"),
            [("rating", Other), ("feelings", Other)]
        );
        assert_eq!(
            read("a=1;valid, b=:cHJl:, c=@1659578233, d=%\"f%c3%bc\""),
            [("a", Integer(1)), ("b", Other), ("c", Other), ("d", Other),]
        );
        assert_eq!(read("a=1,b=2;x;y=z, a=3"), [("b", Integer(2)), ("a", Integer(3))]);
        assert_eq!(read("  "), []);
    }

    #[test]
    fn a_number_of_too_many_digits_is_an_error_whatever_it_would_be() {
        // The digits of -2^63, the number that has no counterpart.
        for digits in ["9223372036854775808", "1000000000000000", &"9".repeat(100)] {
            for sign in ["", "-"] {
                let text = alloc::format!("a={sign}{digits}");
                assert_eq!(dictionary(text.as_bytes()), None, "{text}");
            }
        }
        assert_eq!(
            dictionary(b"a=-999999999999999"),
            Some(alloc::vec![("a", Integer(-999_999_999_999_999))])
        );
    }

    #[test]
    fn members_have_their_parameters_and_their_text() {
        let text = b"a=(\"x\" \"y\");n=1;k=\"v\" , b;q, c=:YQ==:;n=1;n=2";
        let [a, b, c] = <[Member<'_>; 3]>::try_from(members(text).unwrap()).unwrap();
        assert_eq!((a.key, a.text), ("a", "(\"x\" \"y\");n=1;k=\"v\""));
        assert_eq!(a.parameter("n"), Some(&Integer(1)));
        assert_eq!(a.parameter("k"), Some(&Value::String("v".into())));
        assert_eq!(a.parameter("x"), None);
        assert_eq!((b.text, b.parameter("q")), ("", Some(&Boolean(true))));
        assert_eq!((c.text, c.parameter("n")), (":YQ==:;n=1;n=2", Some(&Integer(2))));
    }

    /// A well-kept parser says the same of every text, be it well formed or not.
    #[test]
    fn the_reference_parser_agrees() {
        fn reference(text: &str) -> Option<Vec<(alloc::string::String, Value)>> {
            let dictionary = sfv::Parser::new(text).parse::<sfv::Dictionary>().ok()?;
            let value = |entry: &sfv::ListEntry| match entry {
                sfv::ListEntry::Item(item) => match &item.bare_item {
                    sfv::BareItem::Integer(n) => Integer(i64::from(*n)),
                    sfv::BareItem::Boolean(b) => Boolean(*b),
                    sfv::BareItem::String(text) => Value::String(text.as_str().into()),
                    _ => Other,
                },
                sfv::ListEntry::InnerList(list) => {
                    let strings = list.items.iter().map(|item| match &item.bare_item {
                        sfv::BareItem::String(text) => Some(text.as_str().into()),
                        _ => None,
                    });
                    strings.collect::<Option<_>>().map_or(Other, Strings)
                }
            };
            let mut members: Vec<(alloc::string::String, Value)> =
                dictionary.iter().map(|(key, entry)| (key.as_str().into(), value(entry))).collect();
            members.sort_by(|(one, _), (two, _)| one.cmp(two));
            Some(members)
        }
        // Every text of up to five pieces from this alphabet: 17^5, a million and a half.
        let pieces = [
            "a",
            "*",
            "=",
            "1",
            "-",
            ".5",
            ";",
            ",",
            " ",
            "\t",
            "?1",
            "\"",
            "\\",
            "(",
            ")",
            ":YQ==:",
            "%\"%c3%bc\"",
        ];
        let mut text = alloc::string::String::new();
        for number in 0..pieces.len().pow(5) {
            text.clear();
            let mut rest = number;
            while rest > 0 {
                text.push_str(pieces[rest % pieces.len()]);
                rest /= pieces.len();
            }
            let ours = dictionary(text.as_bytes()).map(|mut members| {
                members.sort_by_key(|(key, _)| *key);
                members.into_iter().map(|(key, value)| (key.into(), value)).collect()
            });
            assert_eq!(ours, reference(&text), "{text:?}");
        }
    }
}
