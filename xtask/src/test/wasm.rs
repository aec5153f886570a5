//! As much of the WebAssembly binary format as two questions need: what does a
//! module import, and whose functions are in it?

use anyhow::{Context, Result, ensure};

/// Magic number and version 1.
const PREAMBLE: &[u8] = b"\0asm\x01\0\0\0";
const CUSTOM: u8 = 0;
const IMPORT: u8 = 2;

/// Every import of a module, as `module.name`.
pub(super) fn imports(module: &[u8]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (_, content) in sections(module)?.into_iter().filter(|(id, _)| *id == IMPORT) {
        let mut reader = Reader(content);
        for _ in 0..reader.number()? {
            found.push(format!("{}.{}", reader.name()?, reader.name()?));
            reader.skip_import_kind()?;
        }
    }
    Ok(found)
}

/// Whether the names of a module's functions mention `text`.
pub(super) fn names_mention(module: &[u8], text: &str) -> Result<bool> {
    for (_, content) in sections(module)?.into_iter().filter(|(id, _)| *id == CUSTOM) {
        let mut reader = Reader(content);
        if reader.name()? == "name" {
            return Ok(reader.0.windows(text.len()).any(|window| window == text.as_bytes()));
        }
    }
    Ok(false)
}

fn sections(module: &[u8]) -> Result<Vec<(u8, &[u8])>> {
    let body = module.strip_prefix(PREAMBLE).context("this is not a WebAssembly 1 module")?;
    let mut reader = Reader(body);
    let mut sections = Vec::new();
    while !reader.0.is_empty() {
        let id = reader.byte()?;
        let length = reader.number()?;
        sections.push((id, reader.take(length)?));
    }
    Ok(sections)
}

/// Reads a module from front to back.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: u32) -> Result<&'a [u8]> {
        let split = self.0.split_at_checked(length as usize);
        let (taken, rest) = split.context("the module ends in the middle of something")?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// An unsigned number in LEB128.
    fn number(&mut self) -> Result<u32> {
        let mut value = 0u32;
        for shift in (0..32).step_by(7) {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        anyhow::bail!("a number has more than 32 bits")
    }

    fn name(&mut self) -> Result<&'a str> {
        let length = self.number()?;
        Ok(std::str::from_utf8(self.take(length)?)?)
    }

    /// What kind of thing is imported: function, table, memory, global, tag.
    fn skip_import_kind(&mut self) -> Result<()> {
        match self.byte()? {
            0 => drop(self.number()?),
            1 => {
                self.byte()?;
                self.skip_limits()?;
            }
            2 => self.skip_limits()?,
            3 => drop(self.take(2)?),
            4 => {
                self.byte()?;
                self.number()?;
            }
            kind => anyhow::bail!("imports of kind {kind} are unknown here"),
        }
        Ok(())
    }

    fn skip_limits(&mut self) -> Result<()> {
        let flags = self.byte()?;
        ensure!(flags < 4, "limits with flags {flags} are unknown here");
        self.number()?;
        if flags & 1 == 1 {
            self.number()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(sections: &[(u8, &[u8])]) -> Vec<u8> {
        let mut module = PREAMBLE.to_vec();
        for (id, content) in sections {
            module.push(*id);
            module.push(content.len().try_into().unwrap());
            module.extend_from_slice(content);
        }
        module
    }

    #[test]
    fn a_module_without_an_import_section_imports_nothing() {
        assert_eq!(imports(&module(&[(1, &[0])])).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn imports_of_every_kind_are_found() {
        let section = b"\x04\
            \x03env\x03now\x00\x05\
            \x03env\x03mem\x02\x01\x01\x80\x02\
            \x03env\x03tab\x01\x70\x00\x01\
            \x02js\x01g\x03\x7f\x01";
        assert_eq!(
            imports(&module(&[(1, &[0]), (IMPORT, section)])).unwrap(),
            ["env.now", "env.mem", "env.tab", "js.g"]
        );
    }

    #[test]
    fn functions_are_known_by_the_name_section_alone() {
        let named = module(&[(CUSTOM, b"\x04name\x01\x0eour_core::key()"), (IMPORT, b"\x00")]);
        assert!(names_mention(&named, "our_core::").unwrap());
        let elsewhere = module(&[(CUSTOM, b"\x05debugour_core::key()")]);
        assert!(!names_mention(&elsewhere, "our_core::").unwrap());
    }

    #[test]
    fn what_is_no_module_or_cut_off_is_an_error() {
        assert!(imports(b"not wasm").is_err());
        let whole = module(&[(IMPORT, b"\x01\x03env\x03now\x00\x05")]);
        assert!(imports(&whole[..whole.len() - 2]).is_err());
    }
}
