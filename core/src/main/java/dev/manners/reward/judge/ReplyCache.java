package dev.manners.reward.judge;

import dev.manners.BadInput;
import dev.manners.files.AtomicFile;
import dev.manners.files.Json;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// Replies on disk, one file each, named by the hash of the request.
record ReplyCache(Path folder, BiConsumer<String, Map<String, ?>> events) {

    @Nullable
    String get(String key) {
        Path file = file(key);
        if (!Files.exists(file)) {
            return null;
        }
        try {
            JsonNode text = Json.readObject(file).get("text");
            if (text != null && text.isString()) {
                return text.stringValue();
            }
            throw new BadInput(file + ": has no text");
        } catch (BadInput e) {
            events.accept("judge_cache_unreadable", Map.of("message", e.getMessage() + "; it is asked again"));
            return null;
        }
    }

    /// A reply that cannot be kept is still a reply.
    void put(String key, String model, String text) {
        Path file = file(key);
        try {
            Files.createDirectories(file.getParent());
            AtomicFile.write(file, Json.pretty(Map.of("model", model, "text", text)));
        } catch (BadInput | IOException | UncheckedIOException e) {
            events.accept("judge_cache_unwritable", Map.of("message", String.valueOf(e.getMessage())));
        }
    }

    private Path file(String key) {
        return folder.resolve(key.substring(0, 2)).resolve(key + ".json");
    }
}
