package dev.manners.model;

import dev.manners.BadInput;
import dev.manners.files.Json;
import dev.manners.files.RegularFile;
import dev.manners.model.SafetensorsFile.Entry;
import dev.manners.tensor.DType;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;

/// Reads and checks a safetensors header: 8 bytes of little-endian length, then that many bytes of JSON. It is parsed
/// as a stream with limits, so that what a hostile header costs is bounded by what a file may honestly contain.
final class SafetensorsHeader {

    /// The reference implementation's limit.
    static final long MAX_HEADER = 100_000_000;

    static final String METADATA = "__metadata__";

    private static final int MAX_TENSORS = 500_000;
    private static final int MAX_METADATA = 10_000;
    private static final int MAX_RANK = 64;
    private static final int MAX_PROBLEMS = 20;

    /// The largest number that every JSON reader agrees on.
    private static final long MAX_NUMBER = 1L << 53;

    private static final JsonFactory JSON = JsonFactory.builder()
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNestingDepth(8)
                    .maxNumberLength(40)
                    .maxNameLength(10_000)
                    .maxStringLength(16 << 20)
                    .build())
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            // Tensor names are all different: remembering them for the next file is only a way to fill memory.
            .disable(JsonFactory.Feature.CANONICALIZE_PROPERTY_NAMES)
            .build();

    private final Path file;
    private final List<String> problems = new ArrayList<>();
    private final List<Entry> entries = new ArrayList<>();
    private final Map<String, String> metadata = new TreeMap<>();
    private long dataBytes;

    private SafetensorsHeader(Path file) {
        this.file = file;
    }

    /// What a valid header says.
    ///
    /// @param entries in the order of their data
    /// @param dataStart where in the file the first tensor begins, in bytes
    record Contents(List<Entry> entries, Map<String, String> metadata, long dataStart) {}

    /// Checks everything that can be known without reading the data.
    static Contents read(FileChannel channel, Path file) {
        SafetensorsHeader header = new SafetensorsHeader(file);
        try {
            long headerBytes = header.length(channel);
            header.dataBytes = channel.size() - 8 - headerBytes;
            header.parse(channel, headerBytes);
            if (header.problems.isEmpty()) {
                header.checkCover();
            }
            if (!header.problems.isEmpty()) {
                throw BadInput.all(file.toString(), header.problems);
            }
            return new Contents(List.copyOf(header.entries), header.metadata, 8 + headerBytes);
        } catch (JacksonException e) {
            throw new BadInput(
                    file + ": the header is not what safetensors allows, at " + Json.where(e) + " of its JSON: "
                            + shorten(e.getOriginalMessage(), 300),
                    e);
        } catch (IOException e) {
            throw RegularFile.unreadable(file, e);
        }
    }

    private long length(FileChannel channel) throws IOException {
        long size = channel.size();
        if (size < 8) {
            throw new BadInput(file + ": the header is too small: the file has " + size
                    + " bytes, a safetensors file has at least 10");
        }
        ByteBuffer start = ByteBuffer.allocate(9).order(ByteOrder.LITTLE_ENDIAN);
        while (start.hasRemaining() && channel.read(start, start.position()) >= 0) {}
        long length = start.getLong(0);
        if (new String(start.array(), 0, 8, StandardCharsets.ISO_8859_1).equals("version ")) {
            throw new BadInput(file + ": this looks like a Git LFS pointer, not the weights; run `git lfs pull`");
        }
        String given =
                file + ": the first 8 bytes say that the header has " + Long.toUnsignedString(length) + " bytes, ";
        if (length < 0 || length > size - 8) {
            throw new BadInput(
                    given + "but the file has only " + (size - 8) + " after them: truncated, or not safetensors");
        }
        if (length > MAX_HEADER) {
            throw new BadInput(given + "more than the " + MAX_HEADER + " that are allowed");
        }
        if (length < 2) {
            throw new BadInput(given + "which is too small for a JSON object");
        }
        if (start.get(8) != '{') {
            throw new BadInput(file + ": the header must start with '{' at byte 8, found byte 0x"
                    + Integer.toHexString(start.get(8) & 0xff));
        }
        return length;
    }

    private void parse(FileChannel channel, long headerBytes) {
        // Our own decoder: Jackson would guess UTF-16 and UTF-32 too.
        Reader text = new InputStreamReader(
                region(channel, 8, headerBytes),
                StandardCharsets.UTF_8
                        .newDecoder()
                        .onMalformedInput(CodingErrorAction.REPORT)
                        .onUnmappableCharacter(CodingErrorAction.REPORT));
        try (JsonParser json = JSON.createParser(ObjectReadContext.empty(), text)) {
            json.nextToken();
            while (json.nextToken() == JsonToken.PROPERTY_NAME && problems.size() < MAX_PROBLEMS) {
                String name = json.currentName();
                json.nextToken();
                if (name.equals(METADATA)) {
                    parseMetadata(json);
                } else {
                    parseTensor(json, name);
                }
                if (entries.size() > MAX_TENSORS) {
                    throw new BadInput(file + ": more than " + MAX_TENSORS + " tensors");
                }
            }
            if (problems.isEmpty() && json.nextToken() != null) {
                problems.add("text after the header's JSON object, where only spaces may be");
            }
        }
    }

    private void parseMetadata(JsonParser json) {
        if (json.currentToken() != JsonToken.START_OBJECT) {
            problems.add(METADATA + " must be an object, found " + json.currentToken());
            json.skipChildren();
            return;
        }
        long characters = 0;
        while (json.nextToken() == JsonToken.PROPERTY_NAME) {
            String key = json.currentName();
            if (json.nextToken() != JsonToken.VALUE_STRING) {
                problems.add(METADATA + " value of " + quote(key) + " must be a string, found " + json.currentToken());
                json.skipChildren();
            } else {
                metadata.put(key, json.getString());
                characters += key.length() + (long) json.getString().length();
            }
            if (metadata.size() > MAX_METADATA || characters > 16 << 20 || problems.size() >= MAX_PROBLEMS) {
                problems.add(METADATA + " is too large: at most " + MAX_METADATA + " entries and 16 MiB of text");
                throw BadInput.all(file.toString(), problems);
            }
        }
    }

    private void parseTensor(JsonParser json, String name) {
        int before = problems.size();
        Optional<DType> dtype = Optional.empty();
        long @Nullable [] shape = null;
        long @Nullable [] offsets = null;
        if (json.currentToken() != JsonToken.START_OBJECT) {
            problems.add("tensor " + quote(name) + ": must be an object, found " + json.currentToken());
            json.skipChildren();
            return;
        }
        while (json.nextToken() == JsonToken.PROPERTY_NAME) {
            String key = json.currentName();
            json.nextToken();
            switch (key) {
                case "dtype" -> dtype = parseDType(json, name);
                case "shape" -> shape = parseNumbers(json, name, "shape", MAX_RANK);
                case "data_offsets" -> offsets = parseNumbers(json, name, "data_offsets", 2);
                default -> {
                    problems.add("tensor " + quote(name) + ": unexpected key " + quote(key));
                    json.skipChildren();
                }
            }
            if (problems.size() >= before + MAX_PROBLEMS) {
                return;
            }
        }
        if (problems.size() > before) {
            return;
        }
        if (dtype.isEmpty() || shape == null || offsets == null || offsets.length != 2) {
            problems.add("tensor " + quote(name) + ": needs \"dtype\", \"shape\" and two \"data_offsets\"");
            return;
        }
        checkSize(name, dtype.get(), shape, offsets[0], offsets[1]);
    }

    private Optional<DType> parseDType(JsonParser json, String name) {
        String given = json.currentToken() == JsonToken.VALUE_STRING ? json.getString() : "" + json.currentToken();
        Optional<DType> dtype = Arrays.stream(DType.values())
                .filter(each -> each.name().equals(given))
                .findFirst();
        if (dtype.isEmpty()) {
            problems.add("unsupported dtype " + quote(given) + " in tensor " + quote(name) + "; supported are "
                    + Arrays.toString(DType.values()));
        }
        json.skipChildren();
        return dtype;
    }

    private long @Nullable [] parseNumbers(JsonParser json, String name, String key, int limit) {
        if (json.currentToken() != JsonToken.START_ARRAY) {
            problems.add("tensor " + quote(name) + ": " + key + " must be an array, found " + json.currentToken());
            json.skipChildren();
            return null;
        }
        long[] numbers = new long[limit];
        int count = 0;
        boolean good = true;
        while (json.nextToken() != JsonToken.END_ARRAY) {
            if (good && count == limit) {
                problems.add("tensor " + quote(name) + ": " + key + " has more than " + limit + " numbers");
                good = false;
            } else if (good && !isNatural(json)) {
                problems.add("tensor " + quote(name) + ": " + key + " must be whole numbers from 0 to 2^53, found "
                        + quote(json.getString()));
                good = false;
            } else if (good) {
                numbers[count++] = json.getLongValue();
            }
            json.skipChildren();
        }
        return good ? Arrays.copyOf(numbers, count) : null;
    }

    private static boolean isNatural(JsonParser json) {
        return json.currentToken() == JsonToken.VALUE_NUMBER_INT
                && json.getNumberType() != JsonParser.NumberType.BIG_INTEGER
                && json.getLongValue() >= 0
                && json.getLongValue() <= MAX_NUMBER;
    }

    private void checkSize(String name, DType dtype, long[] shape, long begin, long end) {
        String tensor = "tensor " + quote(name) + ": ";
        String offsets = "data_offsets [" + begin + ", " + end + "]";
        if (begin > end) {
            problems.add(tensor + offsets + " are reversed");
            return;
        }
        if (end > dataBytes) {
            problems.add(
                    tensor + offsets + " reach beyond the end of the file, whose data has " + dataBytes + " bytes");
            return;
        }
        try {
            long bytes = bytes(dtype, shape);
            if (bytes != end - begin) {
                problems.add(tensor + "shape " + Arrays.toString(shape) + " of " + dtype + " needs " + bytes
                        + " bytes, " + offsets + " hold " + (end - begin));
                return;
            }
        } catch (ArithmeticException e) {
            problems.add(tensor + "shape " + Arrays.toString(shape) + " of " + dtype
                    + " overflows: more bytes than 64 bits can count");
            return;
        }
        entries.add(new Entry(name, dtype, shape, begin, end));
    }

    /// @throws ArithmeticException where the product overflows
    static long bytes(DType dtype, long[] shape) {
        long bytes = dtype.bytes();
        for (long size : shape) {
            bytes = Math.multiplyExact(bytes, size);
        }
        return bytes;
    }

    /// Every byte of the data belongs to exactly one tensor: nothing aliased, nothing hidden.
    private void checkCover() {
        entries.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
        long covered = 0;
        String previous = "the header";
        for (Entry entry : entries) {
            if (entry.begin() < covered) {
                problems.add("tensor " + quote(entry.name()) + " overlaps " + previous + ": begins at " + entry.begin()
                        + ", which is before " + covered);
            } else if (entry.begin() > covered) {
                problems.add("a hole of " + (entry.begin() - covered) + " bytes between " + previous + " and tensor "
                        + quote(entry.name()));
            }
            if (problems.size() >= MAX_PROBLEMS) {
                return;
            }
            covered = Math.max(covered, entry.end());
            previous = "tensor " + quote(entry.name());
        }
        if (covered < dataBytes) {
            problems.add((dataBytes - covered) + " bytes after " + previous + " that belong to no tensor");
        }
    }

    private static InputStream region(FileChannel channel, long from, long length) {
        return new InputStream() {
            private long position = from;

            @Override
            public int read() throws IOException {
                byte[] one = new byte[1];
                return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
            }

            @Override
            public int read(byte[] bytes, int offset, int count) throws IOException {
                int wanted = (int) Math.min(count, from + length - position);
                if (wanted == 0) {
                    return count == 0 ? 0 : -1;
                }
                int read = channel.read(ByteBuffer.wrap(bytes, offset, wanted), position);
                if (read < 0) {
                    throw new EOFException("it was truncated while it was being read");
                }
                position += read;
                return read;
            }
        };
    }

    /// A name out of an untrusted file, fit for a message: short, and without control characters.
    static String quote(String name) {
        StringBuilder quoted = new StringBuilder("\"");
        shorten(name, 120).codePoints().forEach(point -> {
            if (Character.isISOControl(point) || Character.getType(point) == Character.FORMAT) {
                quoted.append(String.format("\\u%04x", point));
            } else {
                quoted.appendCodePoint(point);
            }
        });
        return quoted.append('"').toString();
    }

    private static String shorten(String text, int limit) {
        return text.length() <= limit ? text : text.substring(0, limit) + "... (" + text.length() + " characters)";
    }
}
