package dev.manners.train;

import dev.manners.files.Json;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// A completion to learn from.
///
/// @param row of its prompt; completions of one prompt side by side share it
/// @param group number of its group in the rollout
/// @param ids its tokens
/// @param oldLogps of each under the policy that sampled
/// @param refLogps of each under the reference; null: there is none
/// @param samplerRatio what each token counts for by [dev.manners.loss.SamplerRatio]; null: 1
/// @param highEntropy 1 where a token is among those of high entropy that carry loss, else 0; null: all carry it. Of
/// one update, and in no checkpoint
/// @param advantages its one advantage, or one for each token
@SuppressWarnings("ArrayRecordComponent") // compared by nobody
record Episode(
        int row,
        int group,
        int[] prompt,
        int[] ids,
        float[] oldLogps,
        float @Nullable [] refLogps,
        float @Nullable [] samplerRatio,
        float @Nullable [] highEntropy,
        float[] advantages) {

    Episode withOldLogps(float[] others) {
        return new Episode(row, group, prompt, ids, others, refLogps, samplerRatio, highEntropy, advantages);
    }

    Episode withSamplerRatio(float[] others) {
        return new Episode(row, group, prompt, ids, oldLogps, refLogps, others, highEntropy, advantages);
    }

    Episode withRefLogps(float[] others) {
        return new Episode(row, group, prompt, ids, oldLogps, others, samplerRatio, highEntropy, advantages);
    }

    Episode withAdvantages(float... others) {
        return new Episode(row, group, prompt, ids, oldLogps, refLogps, samplerRatio, highEntropy, others);
    }

    Episode withHighEntropy(float[] others) {
        return new Episode(row, group, prompt, ids, oldLogps, refLogps, samplerRatio, others, advantages);
    }

    /// For a checkpoint between two updates with the same rollout: numbers bit by bit.
    ObjectNode state() {
        ObjectNode state = Json.MAPPER.createObjectNode();
        state.put("row", row);
        state.put("group", group);
        state.put("ids", bytes(ids));
        state.put("old_logps", bytes(oldLogps));
        if (refLogps != null) {
            state.put("ref_logps", bytes(refLogps));
        }
        if (samplerRatio != null) {
            state.put("sampler_ratio", bytes(samplerRatio));
        }
        state.put("advantages", bytes(advantages));
        return state;
    }

    static Episode of(JsonNode state, Rollouts rollouts) {
        int row = state.path("row").asInt();
        return new Episode(
                row,
                state.path("group").asInt(),
                rollouts.prompt(row),
                ints(state.path("ids")),
                floats(state.path("old_logps")),
                state.has("ref_logps") ? floats(state.path("ref_logps")) : null,
                state.has("sampler_ratio") ? floats(state.path("sampler_ratio")) : null,
                null,
                floats(state.path("advantages")));
    }

    /// Gives each episode its part of values that lie episode by episode end to end, one for a token.
    static List<Episode> share(List<Episode> episodes, float[] values, BiFunction<Episode, float[], Episode> give) {
        List<Episode> given = new ArrayList<>();
        int at = 0;
        for (Episode e : episodes) {
            given.add(give.apply(e, Arrays.copyOfRange(values, at, at + e.ids.length)));
            at += e.ids.length;
        }
        return given;
    }

    /// Log-probabilities of some episodes end to end, [M].
    static float[] join(List<float[]> parts) {
        int length = 0;
        for (float[] part : parts) {
            length += part.length;
        }
        float[] all = new float[length];
        int at = 0;
        for (float[] part : parts) {
            System.arraycopy(part, 0, all, at, part.length);
            at += part.length;
        }
        return all;
    }

    private static byte[] bytes(int[] values) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length);
        bytes.asIntBuffer().put(values);
        return bytes.array();
    }

    private static byte[] bytes(float[] values) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length);
        bytes.asFloatBuffer().put(values);
        return bytes.array();
    }

    private static int[] ints(JsonNode node) {
        ByteBuffer bytes = binary(node);
        int[] values = new int[bytes.remaining() / 4];
        bytes.asIntBuffer().get(values);
        return values;
    }

    private static float[] floats(JsonNode node) {
        ByteBuffer bytes = binary(node);
        float[] values = new float[bytes.remaining() / 4];
        bytes.asFloatBuffer().get(values);
        return values;
    }

    private static ByteBuffer binary(JsonNode node) {
        return ByteBuffer.wrap(node.binaryValue());
    }
}
