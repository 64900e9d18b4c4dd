//! Lines of `/proc/PID/maps`: Linux's `proc.rst`.

use barscope_trace::definition::{FilePart, Mapping, Path};

use crate::guest_abi::FileKey;

/// A file that a process maps.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Virtual address of its first byte.
    pub start: u64,
    /// Virtual address of the byte after its last one.
    end: u64,
    /// It may be executed.
    pub is_code: bool,
    /// Where in the file it begins.
    pub offset: u64,
    /// The file.
    pub key: FileKey,
    path: &'a str,
}

impl<'a> Line<'a> {
    /// `5581c0a00000-5581c0a01000 r-xp 00001000 00:01 1234    /root/test`; `None` if it isn't of a file.
    pub fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.splitn(6, ' ');
        let hex = |word: &str| u64::from_str_radix(word, 16).ok();
        let (start, end) = words.next()?.split_once('-')?;
        let (start, end) = (hex(start)?, hex(end)?);
        let is_code = words.next()?.as_bytes().get(2) == Some(&b'x');
        let offset = hex(words.next()?)?;
        let (major, minor) = words.next()?.split_once(':')?;
        let device = hex(major)?.checked_mul(1 << 32)?.checked_add(hex(minor)?)?;
        let inode = words.next()?.parse().ok()?;
        let path = words.next()?.trim_start();
        let key = FileKey { device, inode };
        path.starts_with('/').then_some(Self { start, end, is_code, offset, key, path })
    }

    /// The mapping of a device that it is, made by `who` in an address space; `None` for other files.
    pub fn device_mapping(&self, address_space: u64, who: &str) -> Option<Mapping> {
        let file = self.path.rsplit('/').next()?;
        let is_numbered = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
        let resource = file.strip_prefix("resource").filter(|_| self.path.starts_with("/sys/devices/"));
        let path = match resource {
            Some(rest) if is_numbered(rest) => Path::Sysfs,
            Some(rest) if rest.strip_suffix("_wc").is_some_and(is_numbered) => Path::SysfsWc,
            _ if self.path == "/dev/mem" => Path::DevMem,
            _ if self.path.strip_prefix("/dev/uio").is_some_and(is_numbered) => Path::Uio,
            _ if is_device(self.path) => Path::Mmap,
            _ => return None,
        };
        Some(Mapping {
            path,
            virtual_address: self.start,
            physical_address: if path == Path::DevMem { self.offset } else { 0 },
            length: self.end.checked_sub(self.start)?,
            address_space: Some(address_space),
            announced: false,
            on_fault: false,
            who: who.to_owned(),
            call: format!("mmap of {}", self.path),
            of: Some(FilePart { file: self.path.to_owned(), offset: self.offset }),
        })
    }
}

/// Whether a driver may be behind a file: shared memory isn't, nor what gives zeros.
fn is_device(path: &str) -> bool {
    let name = path.strip_prefix("/dev/");
    name.is_some_and(|name| name != "zero" && !name.starts_with("shm/") && !name.ends_with("(deleted)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_file_is_read_and_one_of_none_is_not() {
        let line =
            "5581c0a00000-5581c0a01000 r-xp 00001000 00:1a 1234                  /root/a test (deleted)";
        let expected = Line {
            start: 0x5581_c0a0_0000,
            end: 0x5581_c0a0_1000,
            is_code: true,
            offset: 0x1000,
            key: FileKey { device: 0x1a, inode: 1234 },
            path: "/root/a test (deleted)",
        };
        assert_eq!(Line::parse(line), Some(expected));
        let data = Line::parse("7f00-8000 rw-s 00000000 103:02 7 /dev/x").unwrap();
        assert!(!data.is_code);
        assert_eq!(data.key, FileKey { device: 0x103_0000_0002, inode: 7 });
        for other in [
            "7ffd1000-7ffd2000 r-xp 00000000 00:00 0                  [vdso]",
            "7ffd1000-7ffd2000 rw-p 00000000 00:00 0 ",
            "7ffd1000-7ffd2000 r-xp 00000000 fffffffffffffffff:0 0 /a",
            "7ffd1000 r-xp",
            "",
        ] {
            assert_eq!(Line::parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn the_file_tells_by_which_way_a_device_is_mapped() {
        let mapping = |path: &str| {
            let line = format!("7f0000001000-7f0000003000 rw-s fe000000 00:05 9 {path}");
            Line::parse(&line).unwrap().device_mapping(0x5000, "test 12")
        };
        for (file, path) in [
            ("/sys/devices/pci0000:00/0000:00:04.0/resource0", Path::Sysfs),
            ("/sys/devices/pci0000:00/0000:00:04.0/resource2_wc", Path::SysfsWc),
            ("/dev/mem", Path::DevMem),
            ("/dev/uio12", Path::Uio),
            ("/dev/edu", Path::Mmap),
        ] {
            assert_eq!(mapping(file).map(|mapping| mapping.path), Some(path), "{file}");
        }
        for other in ["/root/resource0", "/dev/shm/x", "/dev/zero (deleted)", "/lib/libc.so.6"] {
            assert_eq!(mapping(other), None, "{other}");
        }
        let found = mapping("/dev/mem").unwrap();
        assert_eq!((found.virtual_address, found.length), (0x7f00_0000_1000, 0x2000));
        assert_eq!((found.physical_address, found.announced), (0xfe00_0000, false));
        assert_eq!((found.who.as_str(), found.call.as_str()), ("test 12", "mmap of /dev/mem"));
        let backwards = Line::parse("2000-1000 rw-s 0 0:5 9 /dev/mem").unwrap();
        assert_eq!(backwards.device_mapping(0x5000, ""), None);
    }
}
