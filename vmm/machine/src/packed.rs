//! Files of kernel modules as distributions pack them: `NAME.ko`, or that with `.xz`, `.zst` or `.gz` after it.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::host_file::{self, MODULE_MAX, too_long};

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Xz,
    Zstd,
    Gzip,
}

/// The packing that a file's name tells, and the name without it.
fn packing(path: &Path) -> Option<(Packing, PathBuf)> {
    let packing = match path.extension()?.to_str()? {
        "xz" => Packing::Xz,
        "zst" => Packing::Zstd,
        "gz" => Packing::Gzip,
        _ => return None,
    };
    Some((packing, path.with_extension("")))
}

/// What a module's file is called once it is unpacked.
pub fn unpacked_name(path: &Path) -> PathBuf {
    packing(path).map_or_else(|| path.to_owned(), |(_, name)| name)
}

/// Whether a module's file is packed.
pub fn is_packed(path: &Path) -> bool {
    packing(path).is_some()
}

/// Reads a module, and unpacks it if its name says that it is packed.
///
/// # Errors
/// It can't be read, isn't packed as its name says, or is longer than 1 GiB, packed or not.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = host_file::read(path, MODULE_MAX)?;
    let Some((packing, _)) = packing(path) else { return Ok(bytes) };
    unpack(&bytes, packing)
        .map_err(|error| io::Error::new(error.kind(), format!("can't be unpacked: {error}")))
}

fn unpack(bytes: &[u8], packing: Packing) -> io::Result<Vec<u8>> {
    let mut reader: Box<dyn Read + '_> = match packing {
        Packing::Xz => Box::new(lzma_rust2::XzReader::new(bytes, true)),
        Packing::Zstd => Box::new(ruzstd::decoding::StreamingDecoder::new(bytes).map_err(io::Error::other)?),
        Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
    };
    let mut unpacked = Vec::new();
    reader.by_ref().take(MODULE_MAX + 1).read_to_end(&mut unpacked)?;
    if unpacked.len() as u64 > MODULE_MAX { Err(too_long(MODULE_MAX)) } else { Ok(unpacked) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `module\n`, packed by each program.
    const XZ: &[u8] = b"\xfd7zXZ\x00\x00\x01i\x22\xde6\x02\x00!\x01\x16\x00\x00\x00t/\xe5\xa3\x01\x00\x06module\x0a\x00\x00O\x8an\x07\x00\x01\x1b\x07\x12\xeb\xd4\x17\x90B\x99\x0d\x01\x00\x00\x00\x00\x01YZ";
    const ZSTD: &[u8] = b"(\xb5/\xfd\x04X9\x00\x00module\x0a&\xd1Q%";
    const GZIP: &[u8] =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\xcdO)\xcdI\xe5\x02\x00O\x8an\x07\x07\x00\x00\x00";

    #[test]
    fn each_packing_is_known_by_its_name_and_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in
            [("a.ko", &b"module\n"[..]), ("a.ko.xz", XZ), ("a.ko.zst", ZSTD), ("a.ko.gz", GZIP)]
        {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(read(&path).unwrap(), b"module\n", "{name}");
            assert_eq!(unpacked_name(&path), folder.path().join("a.ko"));
        }
    }

    #[test]
    fn what_is_not_packed_as_its_name_says_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.ko.xz", "a.ko.zst", "a.ko.gz"] {
            let path = folder.path().join(name);
            for wrong in
                [&b"\x7fELF, a module\n"[..], &XZ[..XZ.len() / 2], &ZSTD[..6], &GZIP[..GZIP.len() - 9], b""]
            {
                std::fs::write(&path, wrong).unwrap();
                let error = read(&path).unwrap_err().to_string();
                assert!(error.starts_with("can't be unpacked: "), "{name}: {error}");
            }
        }
    }
}
