package dev.manners.model;

import dev.manners.BadInput;
import dev.manners.files.Json;
import dev.manners.model.Family.Biases;
import dev.manners.model.Family.Names;
import dev.manners.tensor.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/// From config.json to a decoder: which tensors there must be, and how they are put together.
record Blueprint(ObjectNode json, Family family, DecoderConfig config, Biases biases) {

    private static final int MOST_LAYERS = 10_000;

    /// What a fresh tensor starts as.
    enum Start {
        NORMAL,
        ZERO,
        ONE
    }

    /// A tensor that the model has.
    record Spec(String name, long[] shape, Start start) {}

    static Blueprint read(Path configFile) {
        return read(Json.readObject(configFile), configFile.toString());
    }

    static Blueprint read(ObjectNode json, String source) {
        Family family = Family.of(json, source);
        ConfigJson reader = new ConfigJson(json, source);
        DecoderConfig config = family.config(reader);
        Biases biases = family.biases(reader);
        // The list of all tensors is made before anything is compared with it.
        reader.require(
                config.layers() <= MOST_LAYERS,
                "num_hidden_layers or n_layer is " + config.layers() + ", expected at most " + MOST_LAYERS);
        reader.finish();
        return new Blueprint(json, family, config, biases);
    }

    /// The same without an output layer: what lies beneath another head.
    Blueprint trunk() {
        return new Blueprint(json, family, config.withoutHead(), biases);
    }

    private Names names() {
        return family.names();
    }

    /// Every tensor of the model, in the order of the forward pass.
    List<Spec> specs() {
        List<Spec> specs = new ArrayList<>();
        long hidden = config.hiddenSize();
        specs.add(new Spec(names().embedding() + ".weight", new long[] {config.vocabSize(), hidden}, Start.NORMAL));
        if (config.learnedPositions()) {
            specs.add(new Spec(
                    names().positions() + ".weight", new long[] {config.maxPositions(), hidden}, Start.NORMAL));
        }
        for (int i = 0; i < config.layers(); i++) {
            String layer = names().layer().formatted(i);
            norm(specs, layer + names().attentionNorm(), hidden);
            long[] qkv = queryKeyValueRows();
            for (int m = 0; m < qkv.length; m++) {
                linear(specs, layer + names().queryKeyValue().get(m), qkv[m], hidden, biases.queryKeyValue());
            }
            long attended = (long) config.heads() * config.headDim();
            linear(specs, layer + names().output(), hidden, attended, biases.output());
            if (config.queryKeyNorm()) {
                norm(specs, layer + names().queryNorm(), config.headDim());
                norm(specs, layer + names().keyNorm(), config.headDim());
            }
            norm(specs, layer + names().mlpNorm(), hidden);
            for (String up : names().up()) {
                linear(specs, layer + up, config.intermediateSize(), hidden, biases.mlp());
            }
            linear(specs, layer + names().down(), hidden, config.intermediateSize(), biases.mlp());
        }
        norm(specs, names().finalNorm(), hidden);
        if (!config.tiedEmbeddings()) {
            specs.add(new Spec(names().head() + ".weight", new long[] {config.vocabSize(), hidden}, Start.NORMAL));
        }
        return specs;
    }

    /// Whether a stored tensor is a buffer that some versions of transformers wrote and nobody needs.
    boolean ignores(String name) {
        return names().ignored().stream().anyMatch(end -> name.endsWith("." + end));
    }

    /// Why adapters of this rank make no sense on this model: a product of rank r is no smaller than the
    /// matrix it changes if the matrix has no more than r rows or columns. One line for each shape.
    List<String> rankProblems(Lora lora) {
        Map<String, String> byShape = new LinkedHashMap<>();
        for (Spec spec : specs()) {
            String module = spec.name().replaceFirst("\\.weight$", "");
            boolean layer = spec.shape().length == 2
                    && !spec.name().equals(embeddingName())
                    && !spec.name().equals(headName())
                    && !module.equals(names().positions());
            if (layer && lora.targets(module) && lora.loraR() > Math.min(spec.shape()[0], spec.shape()[1])) {
                byShape.putIfAbsent(Arrays.toString(spec.shape()), module);
            }
        }
        return byShape.entrySet().stream()
                .map(e -> "lora_r is " + lora.loraR() + ", more than a dimension of " + e.getValue() + " " + e.getKey()
                        + ": give a smaller rank, or leave such layers out of lora_target_modules")
                .toList();
    }

    /// Name of the output layer's weight, which a tied model may store beside the embedding.
    String headName() {
        return names().head() + ".weight";
    }

    String embeddingName() {
        return names().embedding() + ".weight";
    }

    private long[] queryKeyValueRows() {
        long q = (long) config.heads() * config.headDim();
        long kv = (long) config.keyValueHeads() * config.headDim();
        return names().fused() == Names.Fused.NONE ? new long[] {q, kv, kv} : new long[] {q + 2 * kv};
    }

    private void linear(List<Spec> specs, String module, long out, long in, boolean bias) {
        specs.add(new Spec(
                module + ".weight", names().transposed() ? new long[] {in, out} : new long[] {out, in}, Start.NORMAL));
        if (bias) {
            specs.add(new Spec(module + ".bias", new long[] {out}, Start.ZERO));
        }
    }

    private void norm(List<Spec> specs, @Nullable String module, long width) {
        specs.add(new Spec(module + ".weight", new long[] {width}, Start.ONE));
        if (config.norm() == DecoderConfig.NormKind.LAYER) {
            specs.add(new Spec(module + ".bias", new long[] {width}, Start.ZERO));
        }
    }

    // ---- assembly

    /// Puts the parameters together, in the layout of the computation.
    List<Block> blocks(Map<String, Parameter> parameters, DType dtype) {
        return IntStream.range(0, config.layers())
                .mapToObj(i -> block(i, parameters, dtype))
                .toList();
    }

    private Block block(int i, Map<String, Parameter> parameters, DType dtype) {
        String layer = names().layer().formatted(i);
        List<String> qkv = names().queryKeyValue().stream().map(m -> layer + m).toList();
        Norm queryNorm = null;
        Norm keyNorm = null;
        if (config.queryKeyNorm()) {
            int[] dims = headOrder();
            queryNorm = headNorm(layer + names().queryNorm(), dims, parameters, dtype);
            keyNorm = headNorm(layer + names().keyNorm(), dims, parameters, dtype);
        }
        return new Block(
                i,
                config,
                norm(layer + names().attentionNorm(), parameters, dtype),
                projection(qkv, queryKeyValueOrder(), biases.queryKeyValue(), parameters, dtype),
                queryNorm,
                keyNorm,
                single(layer + names().output(), biases.output(), parameters, dtype),
                norm(layer + names().mlpNorm(), parameters, dtype),
                projection(
                        names().up().stream().map(m -> layer + m).toList(),
                        java.util.Collections.nCopies(names().up().size(), null),
                        biases.mlp(),
                        parameters,
                        dtype),
                single(layer + names().down(), biases.mlp(), parameters, dtype));
    }

    Norm finalNorm(Map<String, Parameter> parameters, DType dtype) {
        return norm(names().finalNorm(), parameters, dtype);
    }

    @Nullable
    Weight positions(Map<String, Parameter> parameters, DType dtype) {
        return config.learnedPositions() ? weight(names().positions() + ".weight", parameters, dtype) : null;
    }

    private Projection single(String module, boolean bias, Map<String, Parameter> parameters, DType dtype) {
        return projection(List.of(module), java.util.Collections.singletonList(null), bias, parameters, dtype);
    }

    private Projection projection(
            List<String> modules,
            List<int @Nullable []> rows,
            boolean bias,
            Map<String, Parameter> parameters,
            DType dtype) {
        List<Weight.Part> weights = new ArrayList<>();
        List<Weight.Part> biasParts = new ArrayList<>();
        for (int m = 0; m < modules.size(); m++) {
            weights.add(
                    new Weight.Part(get(modules.get(m) + ".weight", parameters), names().transposed(), rows.get(m)));
            if (bias) {
                biasParts.add(new Weight.Part(get(modules.get(m) + ".bias", parameters), false, rows.get(m)));
            }
        }
        return new Projection(modules, new Weight(weights, dtype), bias ? new Weight(biasParts, dtype) : null, rows);
    }

    private Norm norm(@Nullable String module, Map<String, Parameter> parameters, DType dtype) {
        return new Norm(
                config.norm(),
                weight(module + ".weight", parameters, dtype),
                config.norm() == DecoderConfig.NormKind.LAYER ? weight(module + ".bias", parameters, dtype) : null,
                config.normEps());
    }

    private Norm headNorm(String module, int[] dims, Map<String, Parameter> parameters, DType dtype) {
        Weight weight = new Weight(List.of(new Weight.Part(get(module + ".weight", parameters), false, dims)), dtype);
        return new Norm(DecoderConfig.NormKind.RMS, weight, null, config.normEps());
    }

    private static Weight weight(String name, Map<String, Parameter> parameters, DType dtype) {
        return Weight.of(get(name, parameters), dtype);
    }

    private static Parameter get(String name, Map<String, Parameter> parameters) {
        Parameter parameter = parameters.get(name);
        if (parameter == null) {
            throw new BadInput("tensor " + name + " is missing");
        }
        return parameter;
    }

    /// Order of one head's dimensions: rotary pairs side by side.
    private int[] headOrder() {
        Rotary rotary = config.rotary();
        int headDim = config.headDim();
        return rotary == null ? IntStream.range(0, headDim).toArray() : rotary.dimensions(headDim);
    }

    /// For each module that makes q, k and v: which of its rows comes where. Working order: queries, keys, values.
    private List<int @Nullable []> queryKeyValueOrder() {
        int headDim = config.headDim();
        int[] within = headOrder();
        int[] plain = IntStream.range(0, headDim).toArray();
        return switch (names().fused()) {
            case NONE -> {
                List<int @Nullable []> orders = new ArrayList<>();
                orders.add(config.rotary() == null ? null : heads(config.heads(), within, 0, headDim));
                orders.add(config.rotary() == null ? null : heads(config.keyValueHeads(), within, 0, headDim));
                orders.add(null);
                yield orders;
            }
            case BY_KIND -> java.util.Collections.singletonList(null);
            case BY_HEAD -> {
                int stride = 3 * headDim;
                List<int @Nullable []> orders = new ArrayList<>();
                orders.add(IntStream.concat(
                                IntStream.concat(
                                        IntStream.of(heads(config.heads(), within, 0, stride)),
                                        IntStream.of(heads(config.heads(), within, headDim, stride))),
                                IntStream.of(heads(config.heads(), plain, 2 * headDim, stride)))
                        .toArray());
                yield orders;
            }
        };
    }

    private static int[] heads(int heads, int[] within, int offset, int stride) {
        return IntStream.range(0, heads)
                .flatMap(h -> IntStream.of(within).map(d -> h * stride + offset + d))
                .toArray();
    }
}
