package dev.manners.files;

import dev.manners.BadInput;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/// The one way this project reads and writes JSON: duplicate keys, trailing text, deep nesting and monstrous numbers
/// are
/// errors, and every error names the file, the line and the column.
public final class Json {

    /// Nesting deeper than this is refused: nothing a model directory or a dataset holds comes near it.
    public static final int MAX_DEPTH = 200;

    /// Reads strictly; writes compactly, keys in the order given.
    public static final JsonMapper MAPPER = JsonMapper.builder(JsonFactory.builder()
                    .streamReadConstraints(StreamReadConstraints.builder()
                            .maxNestingDepth(MAX_DEPTH)
                            .maxNumberLength(400)
                            .maxNameLength(100_000)
                            .maxStringLength(Integer.MAX_VALUE)
                            .build())
                    .build())
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    private Json() {}

    /// Reads one JSON object from a regular file.
    ///
    /// @throws BadInput naming file, line and column
    public static ObjectNode readObject(Path file) {
        if (!Files.exists(file)) {
            throw new BadInput(file + ": no such file");
        }
        if (!Files.isRegularFile(file)) {
            throw new BadInput(file + ": not a regular file");
        }
        try {
            return parseObject(Files.readAllBytes(file), file.toString());
        } catch (IOException e) {
            throw new BadInput(file + ": cannot be read: " + e.getMessage(), e);
        }
    }

    /// Parses one JSON object.
    ///
    /// @param what how to name the source in an error: a file, or file and line
    public static ObjectNode parseObject(byte[] json, String what) {
        try {
            JsonNode node = MAPPER.readTree(json);
            if (node instanceof ObjectNode object) {
                return object;
            }
            throw new BadInput(what + ": expected a JSON object, found " + node.getNodeType());
        } catch (JacksonException e) {
            throw new BadInput(what + ":" + where(e) + ": not valid JSON: " + e.getOriginalMessage(), e);
        }
    }

    /// `line:column` of a parse error.
    public static String where(JacksonException e) {
        return e.getLocation() == null
                ? "?"
                : e.getLocation().getLineNr() + ":" + e.getLocation().getColumnNr();
    }

    /// Indented, for files that people read; ends with a newline.
    public static String pretty(Object value) {
        return MAPPER.writer().with(SerializationFeature.INDENT_OUTPUT).writeValueAsString(value) + "\n";
    }
}
