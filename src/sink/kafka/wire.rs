//! The primitive types of Kafka's protocol, as they stand in versions without tagged fields ("Protocol Primitive
//! Types").
//!
//! Must never read beyond what came, nor reserve memory for what somebody says will come.

use bytes::{Buf as _, BufMut as _};

/// What came is not of the protocol.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// What is written.
#[derive(Debug, Default)]
pub(super) struct Out(Vec<u8>);

impl Out {
    pub(super) fn int8(&mut self, value: i8) -> &mut Self {
        self.0.put_i8(value);
        self
    }

    pub(super) fn int16(&mut self, value: i16) -> &mut Self {
        self.0.put_i16(value);
        self
    }

    pub(super) fn int32(&mut self, value: i32) -> &mut Self {
        self.0.put_i32(value);
        self
    }

    pub(super) fn int64(&mut self, value: i64) -> &mut Self {
        self.0.put_i64(value);
        self
    }

    /// NULLABLE_STRING, and STRING, which is never null. What is configured is short enough.
    pub(super) fn string(&mut self, text: Option<&str>) -> &mut Self {
        let length = text.map_or(-1, |text| i16::try_from(text.len()).unwrap_or(i16::MAX));
        self.int16(length).raw(text.unwrap_or_default().as_bytes())
    }

    /// BYTES and RECORDS.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.int32(length(bytes)).raw(bytes)
    }

    /// VARINT and VARLONG: zigzag, seven bits a byte.
    pub(super) fn varint(&mut self, value: i64) -> &mut Self {
        let mut left = ((value << 1) ^ (value >> 63)).cast_unsigned();
        loop {
            let [low, ..] = left.to_le_bytes();
            left >>= 7;
            if left == 0 {
                self.0.put_u8(low & 0x7f);
                return self;
            }
            self.0.put_u8(low | 0x80);
        }
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// How long `bytes` is; nothing that is sent comes near the bound.
pub(super) fn length(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).unwrap_or(i32::MAX)
}

/// What is read.
#[derive(Debug)]
pub(super) struct In<'a>(&'a [u8]);

impl<'a> In<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn int8(&mut self) -> Result<i8, Malformed> {
        self.0.try_get_i8().map_err(|_| Malformed)
    }

    pub(super) fn int16(&mut self) -> Result<i16, Malformed> {
        self.0.try_get_i16().map_err(|_| Malformed)
    }

    pub(super) fn int32(&mut self) -> Result<i32, Malformed> {
        self.0.try_get_i32().map_err(|_| Malformed)
    }

    pub(super) fn int64(&mut self) -> Result<i64, Malformed> {
        self.0.try_get_i64().map_err(|_| Malformed)
    }

    /// NULLABLE_STRING and STRING.
    pub(super) fn string(&mut self) -> Result<Option<&'a str>, Malformed> {
        let length = self.int16()?;
        if length == -1 {
            return Ok(None);
        }
        let (text, rest) = usize::try_from(length)
            .ok()
            .and_then(|length| self.0.split_at_checked(length))
            .ok_or(Malformed)?;
        self.0 = rest;
        std::str::from_utf8(text).map(Some).map_err(|_| Malformed)
    }

    /// ARRAY, each element of which `one` reads; null is none.
    pub(super) fn array<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let mut all = Vec::new();
        for _ in 0..self.int32()? {
            all.push(one(self)?);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafka_varints_are_those_of_protocol_buffers() {
        let varint = |value| {
            let mut out = Out::default();
            out.varint(value);
            out.into_bytes()
        };
        assert_eq!([varint(0), varint(-1), varint(1), varint(-64)], [[0x00], [0x01], [0x02], [0x7f]]);
        assert_eq!(varint(64), [0x80, 0x01]);
        assert_eq!(varint(300), [0xd8, 0x04]);
        assert_eq!(varint(i64::MIN).len(), 10);
    }

    #[test]
    fn kafka_strings_and_arrays_come_back_and_nothing_is_read_beyond_the_end() {
        let mut out = Out::default();
        out.string(Some("é")).string(None).int32(2).int16(1).int16(-2).bytes(b"ab");
        let bytes = out.into_bytes();
        let mut input = In::new(&bytes);
        assert_eq!((input.string().unwrap(), input.string().unwrap()), (Some("é"), None));
        assert_eq!(input.array(In::int16).unwrap(), [1, -2]);
        assert_eq!((input.int32().unwrap(), input.int16().unwrap()), (2, i16::from_be_bytes(*b"ab")));
        assert_eq!(input.int8(), Err(Malformed));
        for wrong in [&[0x7f, 0xff, 0x00][..], &[0xff, 0xfe], &[0, 1, 0xff]] {
            assert_eq!(In::new(wrong).string(), Err(Malformed));
        }
        assert_eq!(In::new(&[0x7f, 0xff, 0xff, 0xff, 0, 0]).array(In::int16), Err(Malformed));
    }
}
