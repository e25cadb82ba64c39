//! Where the two servers are known to answer differently, and which of them does as Amazon S3 does.
//!
//! A difference that is not listed fails the test, and so does a listed one that is gone. Where nothing
//! else is said, the strict server does as Amazon S3 documents it or was seen to do, and the second
//! server does not.

use crate::talk::Difference;

/// One word of some answers. A `*` stands for anything; `-` is a word that is not there.
#[derive(Debug)]
pub(crate) struct Known {
    exchange: &'static str,
    word: &'static str,
    strict: &'static str,
    second: &'static str,
}

impl Known {
    pub(crate) fn covers(&self, difference: &Difference) -> bool {
        fits(self.exchange, &difference.exchange)
            && fits(self.word, &difference.word)
            && fits(self.strict, &difference.strict)
            && fits(self.second, &difference.second)
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(start) else { return false };
    text.char_indices()
        .map(|(index, _)| index)
        .chain([text.len()])
        .any(|index| text.get(index..).is_some_and(|text| fits(rest, text)))
}

/// Differences with one cause.
pub(crate) struct Cause {
    pub(crate) why: &'static str,
    pub(crate) differences: &'static [Known],
}

const fn known(
    exchange: &'static str,
    word: &'static str,
    strict: &'static str,
    second: &'static str,
) -> Known {
    Known { exchange, word, strict, second }
}

pub(crate) const KNOWN: &[Cause] = &[
    Cause {
        why: "What comes without a checksum gets a CRC-64/NVME; answers to writes show it",
        differences: &[
            known("*", "x-amz-checksum-crc64nvme", "*", "-"),
            known("*", "x-amz-checksum-type", "FULL_OBJECT", "-"),
            known("*", "ChecksumCRC64NVME", "*", "-"),
            known("*", "ChecksumType", "FULL_OBJECT", "-"),
            known("*list parts*", "Part/ChecksumCRC64NVME", "*", "-"),
            known("*", "Contents/ChecksumAlgorithm", "*CRC64NVME*", "-"),
            known("*", "Contents/ChecksumType", "FULL_OBJECT*", "-"),
        ],
    },
    Cause {
        why: "Every object is encrypted, with the store's own keys if nothing else is said",
        differences: &[known("*", "x-amz-server-side-encryption", "AES256", "-")],
    },
    Cause {
        why: "The answer to a PUT repeats the checksum that was given",
        differences: &[
            known("checksums: put with a right crc32", "x-amz-checksum-crc32", "*", "-"),
            known("checksums: put with a right crc32c", "x-amz-checksum-crc32c", "*", "-"),
            known("checksums: put with a right sha1", "x-amz-checksum-sha1", "*", "-"),
            known("checksums: put with a right sha256", "x-amz-checksum-sha256", "*", "-"),
        ],
    },
    Cause {
        why: "A value that cannot be a checksum of its kind is malformed, not a mismatch",
        differences: &[known(
            "checksums: put with a malformed *",
            "Code",
            "InvalidRequest",
            "BadDigest",
        )],
    },
    Cause {
        why: "Checksums over the whole of a multipart object can be asked for; the second server has \
              composite ones only",
        differences: &[
            known(
                "upload-checksums: *, FULL_OBJECT",
                "x-amz-checksum-type",
                "FULL_OBJECT",
                "COMPOSITE",
            ),
            known("upload-checksums: *, FULL_OBJECT", "x-amz-checksum-crc*", "*", "*-2"),
            known("upload-checksums: *, FULL_OBJECT", "ChecksumType", "FULL_OBJECT", "COMPOSITE"),
            known("upload-checksums: *, FULL_OBJECT", "ChecksumCRC*", "*", "*-2"),
            known(
                "upload-checksums: *, FULL_OBJECT",
                "Checksum/ChecksumType",
                "FULL_OBJECT",
                "COMPOSITE",
            ),
            known("upload-checksums: *, FULL_OBJECT", "Checksum/ChecksumCRC*", "*", "*-2"),
            known("upload-checksums: create with a pair that there is not", "status", "400", "200"),
            known(
                "upload-checksums: create with a pair that there is not",
                "Code",
                "InvalidRequest",
                "-",
            ),
        ],
    },
    Cause {
        why: "A list of parts names the algorithm of the upload, and the last part even if it is whole",
        differences: &[
            known("upload-checksums: list parts *", "ChecksumAlgorithm", "*", "-"),
            known("upload-checksums: list parts *", "ChecksumType", "COMPOSITE", "-"),
            known("*: list parts*", "NextPartNumberMarker", "*", "-"),
        ],
    },
    Cause {
        why: "The attributes of an object name its class, and parts only of a multipart object",
        differences: &[
            known("*: attributes*", "StorageClass", "STANDARD", "-"),
            known("*: attributes with *", "ObjectParts/Part/Checksum*", "*", "-"),
            known("checksums: attributes", "ObjectParts/*", "-", "*"),
        ],
    },
    Cause {
        why: "HEAD takes a range as GET does",
        differences: &[
            known("ranges: head bytes=*", "status", "206", "200"),
            known("ranges: head bytes=*", "status", "416", "200"),
        ],
    },
    Cause {
        why: "A range that makes no sense, or more than one range, is as good as none",
        differences: &[
            known("ranges: get bytes=5-4", "*", "*", "*"),
            known("ranges: get bytes=0-1,4-5", "status", "200", "206"),
            known("ranges: get lines=1-2", "*", "*", "*"),
            known("ranges: get bytes=x", "*", "*", "*"),
        ],
    },
    Cause {
        why: "Not documented: the last byte of nothing. Nobody asks for a range of an empty object here",
        differences: &[
            known("ranges: get bytes=-1 of nothing", "status", "416", "206"),
            known("ranges: get bytes=-1 of nothing", "Code", "InvalidRange", "-"),
        ],
    },
    Cause {
        why: "GET and HEAD of a part answer 206, and 416 for a part that there is not. The second server \
              knows part numbers for GET alone, and only where the part is there",
        differences: &[
            known("*: head *part *", "status", "206", "200"),
            known("*: head *part *", "status", "416", "200"),
            known("multipart: get *part *", "status", "206", "200"),
            known("multipart: get *part *", "status", "416", "200"),
            known("multipart: get *part *", "Code", "InvalidPartNumber", "-"),
        ],
    },
    Cause {
        why: "An object without a type is binary/octet-stream, however it came",
        differences: &[known(
            "*",
            "content-type",
            "binary/octet-stream",
            "application/octet-stream",
        )],
    },
    Cause {
        why: "Limits: the length of a key, the size of user metadata, of a tag's name, of a page",
        differences: &[
            known("objects: put a key too long", "status", "400", "200"),
            known("objects: put a key too long", "Code", "KeyTooLongError", "-"),
            known("metadata: more than there may be", "status", "400", "200"),
            known("metadata: more than there may be", "Code", "MetadataTooLarge", "-"),
            known("tags: a name too long", "status", "400", "200"),
            known("tags: a name too long", "Code", "InvalidTag", "-"),
            known("tags: still the new ones", "TagSet/Tag/*", "*", "*"),
            known("pages: more than a page", "MaxKeys", "1000", "5000"),
        ],
    },
    Cause {
        why: "Two tags with one name are refused",
        differences: &[
            known("tags: twice the same", "status", "400", "200"),
            known("tags: twice the same", "Code", "InvalidTag", "-"),
        ],
    },
    Cause {
        why: "Tags of CreateMultipartUpload are those of the object",
        differences: &[known("tags: get of a multipart object", "TagSet/Tag/*", "*", "-")],
    },
    Cause {
        why: "HEAD counts the tags",
        differences: &[known("*: head*", "x-amz-tagging-count", "*", "-")],
    },
    Cause {
        why: "All parts but the last have 5 MiB at least; parts are named in order, and at least one is",
        differences: &[
            known("refused-uploads: complete with small parts", "status", "400", "200"),
            known("refused-uploads: complete with small parts", "Code", "EntityTooSmall", "-"),
            known("refused-uploads: complete with disorder", "status", "400", "200"),
            known("refused-uploads: complete with disorder", "Code", "InvalidPartOrder", "-"),
            known("refused-uploads: complete with no parts", "status", "400", "200"),
            known("refused-uploads: complete with no parts", "Code", "MalformedXML", "-"),
        ],
    },
    Cause {
        why: "On a write, If-None-Match takes nothing but an asterisk",
        differences: &[
            known("write-conditions: put if none match with an etag", "status", "501", "412"),
            known(
                "write-conditions: put if none match with an etag",
                "Code",
                "NotImplemented",
                "PreconditionFailed",
            ),
        ],
    },
    Cause {
        why: "A server-side copy honours conditions on what it replaces",
        differences: &[
            known("whole-copies: onto what must be *", "status", "412", "200"),
            known("whole-copies: onto what must be *", "Code", "PreconditionFailed", "-"),
        ],
    },
    Cause {
        why: "A copy of an object onto itself must change something",
        differences: &[
            known("whole-copies: copy onto itself", "status", "400", "200"),
            known("whole-copies: copy onto itself", "Code", "InvalidRequest", "-"),
        ],
    },
    Cause {
        why: "A listing of uploads can be encoded and grouped, and goes on behind its marker",
        differences: &[
            known("open-uploads: encoded", "EncodingType", "url", "-"),
            known("open-uploads: encoded", "Upload/Key", "*", "*"),
            known("open-uploads: a delimiter", "CommonPrefixes/Prefix", "a b/|c/", "-"),
            known("open-uploads: a delimiter", "Upload/*", "*", "*"),
            known("open-uploads: after a key", "Upload/Key", "c/1|c/2", "b|c/1|c/2"),
            known("open-uploads: after a key", "Upload/StorageClass", "*", "*"),
        ],
    },
    Cause {
        why: "Bytes beyond ASCII in a header are Latin-1, and come back encoded after RFC 2047",
        differences: &[known(
            "metadata: head bytes beyond ASCII",
            "x-amz-meta-name",
            "=?UTF-8?B?*",
            "na*",
        )],
    },
    Cause {
        why: "The version from before versioning is called null",
        differences: &[known("versions: get null", "x-amz-version-id", "there", "-")],
    },
    Cause {
        why: "An encoded listing encodes as forms do: a space is a plus sign, an asterisk stays, a tilde \
              does not. Clients that decode as forms do understand both",
        differences: &[
            known("odd-keys: list *", "Contents/Key", "*", "*"),
            known("odd-keys: list under *", "Prefix", "*", "*"),
            known("pages: encoded words", "StartAfter", "%C3%A8%2B+", "%C3%A8%2B%20"),
            known("pages-v1: encoded words", "Marker", "a+b", "a%20b"),
        ],
    },
    Cause {
        why: "A page of no keys is whole, a negative one is refused, and so is a token of nobody's making",
        differences: &[
            known("pages: none at all", "IsTruncated", "false", "true"),
            known("pages: less than none", "status", "400", "200"),
            known("pages: less than none", "Code", "InvalidArgument", "-"),
            known("pages: a token of nobody", "status", "400", "200"),
            known("pages: a token of nobody", "Code", "InvalidArgument", "-"),
        ],
    },
    Cause {
        why: "Not documented: whether a common prefix is shown again to who starts within it. The product \
              lists without delimiters",
        differences: &[
            known("pages: start within a common prefix", "CommonPrefixes/Prefix", "b/", "-"),
            known("pages: start within a common prefix", "KeyCount", "5", "4"),
        ],
    },
];
