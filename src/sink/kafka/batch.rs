//! Records as one batch of Kafka's ("Message Format", version 2).
//!
//! Must never change a record: it is the value, and its key is the same whenever it comes.

use crate::sink::parcel::Parcel;

use super::wire::{Out, length};

/// The version of the format, `magic`.
const MAGIC: i8 = 2;
/// There is none: nobody numbers the batches of this producer.
const NONE: i64 = -1;

/// The batch of `parcels`, which the sink `sink` sends.
pub(super) fn encode(sink: &str, parcels: &[Parcel]) -> Vec<u8> {
    let time = |parcel: &Parcel| parcel.timestamp().map_or(NONE, |time| time.as_millisecond());
    let first = parcels.first().map_or(NONE, time);
    let last = parcels.iter().map(time).max().unwrap_or(NONE);
    let mut records = Out::default();
    for (at, parcel) in (0_i64..).zip(parcels) {
        let mut record = Out::default();
        let (key, value) = (parcel.id(sink), &parcel.text);
        // No attributes; what it is after the first; no headers.
        record.int8(0).varint(time(parcel) - first).varint(at);
        record.varint(length(key.as_bytes()).into()).raw(key.as_bytes());
        record.varint(length(value.as_bytes()).into()).raw(value.as_bytes()).varint(0);
        records.varint(length(record.as_bytes()).into()).raw(record.as_bytes());
    }
    let count = i32::try_from(parcels.len()).unwrap_or(i32::MAX);
    let mut summed = Out::default();
    // Not packed, times of creation, of no transaction; then `lastOffsetDelta`.
    summed.int16(0).int32(count - 1).int64(first).int64(last);
    // `producerId`, `producerEpoch` and `baseSequence`.
    summed.int64(NONE).int16(-1).int32(-1);
    summed.int32(count).raw(records.as_bytes());
    let sum = crc32c(summed.as_bytes());
    let mut rest = Out::default();
    // `partitionLeaderEpoch` is the broker's to say.
    rest.int32(-1).int8(MAGIC).raw(&sum.to_be_bytes()).raw(summed.as_bytes());
    let mut batch = Out::default();
    batch.int64(0).bytes(rest.as_bytes());
    batch.into_bytes()
}

/// The sum that the format takes (RFC 3720, 12.1).
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        let [low, ..] = (sum ^ u32::from(*byte)).to_le_bytes();
        TABLE.get(usize::from(low)).copied().unwrap_or_default() ^ (sum >> 8)
    };
    !bytes.iter().fold(u32::MAX, step)
}

/// The remainder of each byte.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which would refuse it")]
const TABLE: [u32; 256] = {
    let (mut table, mut byte) = ([0; 256], 0);
    while byte < 256 {
        let (mut sum, mut bit) = (byte as u32, 0);
        while bit < 8 {
            sum = if sum & 1 == 1 { 0x82f6_3b78 ^ (sum >> 1) } else { sum >> 1 };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Kind, Seq};

    /// The examples of RFC 3720, B.4, and the usual one.
    #[test]
    fn the_sum_of_kafka_is_that_of_the_specification() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&(0..32).collect::<Vec<u8>>()), 0x46dd_794e);
    }

    #[test]
    fn a_batch_for_kafka_stands_as_the_format_says() {
        let parcel = |seq, time: &str| Parcel {
            seq: Seq(seq),
            kind: Kind::Start,
            time: time.to_owned(),
            digest: "ab".to_owned(),
            text: "{}".to_owned(),
        };
        let parcels = [parcel(7, "1970-01-01T00:00:01Z"), parcel(8, "1970-01-01T00:00:01.5Z")];
        let batch = encode("siem", &parcels);
        let (head, rest) = batch.split_at(21);
        // baseOffset, batchLength, partitionLeaderEpoch, magic; then what is summed.
        assert_eq!(head[..8], [0; 8]);
        assert_eq!(head[8..12], u32::try_from(batch.len() - 12).unwrap().to_be_bytes());
        assert_eq!(head[12..17], [0xff, 0xff, 0xff, 0xff, 2]);
        assert_eq!(head[17..], crc32c(rest).to_be_bytes());
        let (fields, records) = rest.split_at(40);
        let expected = [
            &[0, 0, 0, 0, 0, 1][..],
            &1000_i64.to_be_bytes(),
            &1500_i64.to_be_bytes(),
            &[0xff; 14],
            &[0, 0, 0, 2],
        ];
        assert_eq!(fields, expected.concat());
        let record = |delta: &[u8], at: u8, key: &[u8]| {
            let length = u8::try_from(2 * (delta.len() + key.len() + 7)).unwrap();
            let (key_length, value_length) = (u8::try_from(2 * key.len()).unwrap(), 4);
            [&[length, 0], delta, &[at, key_length], key, &[value_length], b"{}", &[0]].concat()
        };
        // 500 is 1000 in zigzag.
        let expected = [record(&[0], 0, b"siem-7-ab"), record(&[0xe8, 0x07], 2, b"siem-8-ab")];
        assert_eq!(records, expected.concat());
    }
}
