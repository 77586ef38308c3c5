package dev.manners.reward;

import com.networknt.schema.Error;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaException;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SchemaRegistryConfig;
import com.networknt.schema.SpecificationVersion;
import com.networknt.schema.ValidationLimitExceededException;
import com.networknt.schema.regex.RegularExpression;
import dev.manners.BadInput;
import dev.manners.files.Json;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/// The answer is JSON that a JSON Schema allows (draft 2020-12, or what its `$schema` says; networknt's validator).
///
/// The JSON may stand in one Markdown fence, and nothing else beside it; duplicate keys and trailing text are errors.
/// Nothing is fetched: a `$ref` to another document makes the row unscorable. Steps, depth and regular expressions are
/// bounded; an answer on which the schema runs out of them is not valid.
///
/// @param column with the schema: an object, or its text
public record JsonSchema(String column) implements Task {

    private static final int LONGEST = 1_000_000;
    private static final int MAX_STEPS = 200_000;
    /// A frame of the validator's takes several of Java's.
    private static final int MAX_DEPTH = 300;

    private static final Pattern FENCE = Pattern.compile("```(?:json)?[ \t]*\\R(.*)\\R```", Pattern.DOTALL);

    private static final SchemaRegistry REGISTRY = SchemaRegistry.withDefaultDialect(
            SpecificationVersion.DRAFT_2020_12,
            registry -> registry.schemaCacheEnabled(false)
                    .schemaLoader(loader -> loader.fetchRemoteResources(false))
                    .schemaRegistryConfig(SchemaRegistryConfig.builder()
                            .regularExpressionFactory(JsonSchema::pattern)
                            .build()));

    @Override
    public Key key(Candidate row) {
        Schema schema = schema(row);
        return answer -> {
            if (answer.length() > LONGEST) {
                return Finding.unparseable(answer.length() + " characters");
            }
            Matcher fence = FENCE.matcher(answer);
            String text = fence.matches() ? fence.group(1) : answer;
            JsonNode json;
            try {
                json = Json.MAPPER.readTree(text);
            } catch (JacksonException e) {
                return Finding.unparseable("not JSON: line " + Json.where(e) + ": " + e.getOriginalMessage());
            }
            if (json == null || json.isMissingNode() || !isFinite(json)) {
                return Finding.unparseable("no JSON, or a number beyond all bounds");
            }
            return mark(schema, json, text);
        };
    }

    /// 1e999 was read as infinity, of which a schema would say anything.
    private static boolean isFinite(JsonNode json) {
        if (json.isNumber()) {
            return Double.isFinite(json.doubleValue());
        }
        for (JsonNode part : json) {
            if (!isFinite(part)) {
                return false;
            }
        }
        return true;
    }

    private static Finding mark(Schema schema, JsonNode json, String text) {
        try {
            List<Error> errors = schema.validate(
                    json,
                    context -> context.executionConfig(config ->
                            config.failFast(true).maxEvaluationSteps(MAX_STEPS).maxEvaluationDepth(MAX_DEPTH)));
            return errors.isEmpty()
                    ? Finding.right(text)
                    : Finding.wrong(errors.getFirst().toString());
        } catch (ValidationLimitExceededException | BoundedPattern.GaveUp | StackOverflowError e) {
            return Finding.unparseable("the schema takes too long to check it");
        }
    }

    private Schema schema(Candidate row) {
        JsonNode node = Columns.get(row, column);
        try {
            if (node.isString()) {
                node = Json.parseObject(node.stringValue().getBytes(StandardCharsets.UTF_8), "column " + column);
            }
            if (!node.isObject()) {
                throw new Unscorable("column " + column + " is no JSON Schema: " + Show.text(node.toString()));
            }
            Schema schema = REGISTRY.getSchema(node);
            schema.initializeValidators();
            return schema;
        } catch (BadInput | SchemaException | PatternSyntaxException | StackOverflowError e) {
            throw new Unscorable(
                    "column " + column + " is no JSON Schema that can be used: " + Show.text("" + e.getMessage()));
        }
    }

    private static RegularExpression pattern(String regex) {
        BoundedPattern pattern = BoundedPattern.compile(regex);
        return pattern::find;
    }
}
