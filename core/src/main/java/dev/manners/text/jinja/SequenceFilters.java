package dev.manners.text.jinja;

import dev.manners.text.jinja.Arguments.Bound;
import dev.manners.text.jinja.Value.Dict;
import dev.manners.text.jinja.Value.Int;
import dev.manners.text.jinja.Value.ListValue;
import dev.manners.text.jinja.Value.None;
import dev.manners.text.jinja.Value.Once;
import dev.manners.text.jinja.Value.Tuple;
import dev.manners.text.jinja.Value.Undefined;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/// The filters for lists and mappings.
final class SequenceFilters {

    static final Set<String> NAMES = Set.of(
            "batch",
            "count",
            "dictsort",
            "first",
            "items",
            "join",
            "last",
            "length",
            "list",
            "map",
            "max",
            "min",
            "reject",
            "rejectattr",
            "reverse",
            "select",
            "selectattr",
            "slice",
            "sort",
            "sum",
            "unique");

    private final Budget budget;
    private final Operations operations;
    private final Arithmetic arithmetic;
    private final Attributes attributes;
    private final Filters filters;
    private final Tests tests;
    private final Repr repr;

    SequenceFilters(
            Budget budget,
            Operations operations,
            Arithmetic arithmetic,
            Attributes attributes,
            Filters filters,
            Tests tests) {
        this.budget = budget;
        this.operations = operations;
        this.arithmetic = arithmetic;
        this.attributes = attributes;
        this.filters = filters;
        this.tests = tests;
        this.repr = new Repr(budget);
    }

    Value apply(String name, Value value, Arguments arguments) {
        return switch (name) {
            case "length", "count" -> {
                arguments.bind(name);
                yield Int.of(operations.length(value), value.content());
            }
            case "list" -> {
                arguments.bind(name);
                yield new ListValue(operations.list(value), value.content());
            }
            case "first", "last", "items", "reverse" -> {
                arguments.bind(name);
                yield switch (name) {
                    case "items" -> items(value);
                    case "reverse" -> reverse(value);
                    default -> end(value, name);
                };
            }
            case "join" -> join(value, arguments.bind(name, "d", "attribute"));
            case "map" -> map(value, arguments);
            case "select", "reject", "selectattr", "rejectattr" ->
                select(value, name.startsWith("select"), name.endsWith("attr"), arguments);
            case "sort" -> sort(value, arguments.bind(name, "reverse", "case_sensitive", "attribute"));
            case "dictsort" -> dictSort(value, arguments.bind(name, "case_sensitive", "by", "reverse"));
            case "unique" -> unique(value, arguments.bind(name, "case_sensitive", "attribute"));
            case "min", "max" -> extreme(value, name, arguments.bind(name, "case_sensitive", "attribute"));
            case "sum" -> sum(value, arguments.bind(name, "attribute", "start"));
            case "batch" -> batch(value, arguments.bind(name, "linecount", "fill_with"));
            default -> slice(value, arguments.bind(name, "slices", "fill_with"));
        };
    }

    private Value end(Value value, String name) {
        boolean first = name.equals("first");
        if (!first && (value instanceof Once)) {
            throw Fault.type("'" + value.type() + "' object is not reversible");
        }
        if (value instanceof Str s && !s.isEmpty()) {
            int length = s.text().length();
            return first
                    ? s.slice(0, s.text().offsetByCodePoints(0, 1))
                    : s.slice(s.text().offsetByCodePoints(length, -1), length);
        }
        List<Value> items = value instanceof Value.Sequence s ? s.items() : operations.list(value);
        if (items.isEmpty()) {
            return new Undefined("No " + name + " item, sequence was empty.");
        }
        return first ? items.getFirst() : items.getLast();
    }

    private Value items(Value value) {
        return switch (value) {
            case Undefined u -> new Once(List.of());
            case Dict d -> {
                budget.elements(d.size());
                yield new Once(d.pairs());
            }
            default -> throw Fault.type("Can only get item pairs from a mapping.");
        };
    }

    private Value reverse(Value value) {
        if (value instanceof Str s) {
            return operations.slice(s, null, null, Int.of(-1));
        }
        List<Value> items = operations.list(value);
        Collections.reverse(items);
        return new Once("list_reverseiterator", items.iterator());
    }

    private Value join(Value value, Bound bound) {
        Str separator = repr.str(bound.get("d", Str.EMPTY));
        UnaryOperator<Value> getter = getter(bound.get("attribute"), null);
        Text out = new Text(budget);
        boolean first = true;
        for (Value item : operations.list(value)) {
            (first ? out : out.append(separator)).append(repr.str(getter.apply(item)));
            first = false;
        }
        return out.toStr();
    }

    /// `'a.b.0'` as Jinja's filters read it; the value itself where there is no attribute.
    private UnaryOperator<Value> getter(@Nullable Value attribute, @Nullable Value otherwise) {
        if (attribute == null || attribute instanceof None) {
            return UnaryOperator.identity();
        }
        List<Value> path = new ArrayList<>();
        if (attribute instanceof Str s) {
            for (String part : s.text().split("\\.", -1)) {
                path.add(part.matches("[0-9]{1,9}") ? Int.of(Long.parseLong(part)) : Str.literal(part));
            }
        } else {
            path.add(attribute);
        }
        return item -> {
            Value found = item;
            for (Value part : path) {
                budget.steps(1);
                found = attributes.element(found, part);
                if (otherwise != null && found instanceof Undefined) {
                    found = otherwise;
                }
            }
            return found;
        };
    }

    private Value map(Value value, Arguments arguments) {
        UnaryOperator<Value> change;
        if (arguments.positional().isEmpty() && arguments.named().containsKey("attribute")) {
            Bound bound = arguments.bind("map", "attribute", "default");
            change = getter(bound.get("attribute"), bound.get("default"));
        } else {
            String name = function("map", "a filter", arguments.positional(), 0);
            Arguments rest = rest(arguments, 1);
            change = item -> filters.apply(name, item, rest);
        }
        List<Value> mapped = operations.list(value);
        mapped.replaceAll(change);
        return new Once(mapped);
    }

    private static String function(String caller, String what, List<Value> arguments, int at) {
        if (at < arguments.size() && arguments.get(at) instanceof Str name) {
            return name.text();
        }
        throw Fault.of("FilterArgumentError", caller + " requires the name of " + what);
    }

    private static Arguments rest(Arguments arguments, int from) {
        List<Value> positional = arguments.positional();
        return new Arguments(
                positional.subList(Math.min(from, positional.size()), positional.size()), arguments.named());
    }

    private Value select(Value value, boolean keep, boolean byAttribute, Arguments arguments) {
        if (byAttribute && arguments.positional().isEmpty()) {
            throw Fault.of("FilterArgumentError", "Missing parameter for attribute name");
        }
        int from = byAttribute ? 1 : 0;
        UnaryOperator<Value> getter =
                byAttribute ? getter(arguments.positional().getFirst(), null) : UnaryOperator.identity();
        boolean tested = arguments.positional().size() > from;
        String name = tested ? function("select", "a test", arguments.positional(), from) : "";
        Arguments rest = rest(arguments, from + 1);
        List<Value> kept = new ArrayList<>();
        for (Value item : operations.list(value)) {
            Value subject = getter.apply(item);
            boolean passes = tested ? tests.test(name, subject, rest) : operations.truth(subject);
            if (passes == keep) {
                kept.add(item);
            }
        }
        return new Once(kept);
    }

    /// What to compare by: the attribute, letter case ignored unless asked for.
    private UnaryOperator<Value> key(Bound bound) {
        UnaryOperator<Value> getter = getter(bound.get("attribute"), null);
        return bound.flag("case_sensitive", false) ? getter : item -> folded(getter.apply(item));
    }

    private Value folded(Value value) {
        return value instanceof Str s ? s.map(budget, Unicode::lower) : value;
    }

    private List<Value> sorted(List<Value> items, UnaryOperator<Value> key, boolean reverse) {
        record Keyed(Value key, Value item) {}
        List<Keyed> keyed = new ArrayList<>();
        items.forEach(item -> keyed.add(new Keyed(key.apply(item), item)));
        Comparator<Keyed> order = (a, b) -> operations.order(a.key, b.key);
        try {
            keyed.sort(reverse ? order.reversed() : order);
        } catch (IllegalArgumentException e) {
            throw Fault.value("these values have no consistent order (is one of them nan?)");
        }
        return new ArrayList<>(keyed.stream().map(Keyed::item).toList());
    }

    private Value sort(Value value, Bound bound) {
        Value attribute = bound.get("attribute");
        List<Value> by = new ArrayList<>();
        if (attribute instanceof Str s) {
            List.of(s.text().split(",", -1)).forEach(part -> by.add(Str.literal(part)));
        } else {
            by.add(attribute == null ? None.NONE : attribute);
        }
        List<UnaryOperator<Value>> getters =
                by.stream().map(part -> getter(part, null)).toList();
        boolean caseSensitive = bound.flag("case_sensitive", false);
        UnaryOperator<Value> key = item -> new ListValue(getters.stream()
                .map(getter -> caseSensitive ? getter.apply(item) : folded(getter.apply(item)))
                .toList());
        return new ListValue(sorted(operations.list(value), key, bound.flag("reverse", false)), value.content());
    }

    private Value dictSort(Value value, Bound bound) {
        if (value instanceof Undefined u) {
            throw u.fault();
        }
        if (!(value instanceof Dict dict)) {
            throw Fault.undefined("'" + value.type() + " object' has no attribute 'items'");
        }
        String by = bound.get("by") == null ? "key" : bound.string("by").text();
        if (!by.equals("key") && !by.equals("value")) {
            throw Fault.of("FilterArgumentError", "You can only sort by either \"key\" or \"value\"");
        }
        int at = by.equals("key") ? 0 : 1;
        boolean caseSensitive = bound.flag("case_sensitive", false);
        UnaryOperator<Value> key = pair -> {
            Value part = ((Tuple) pair).items().get(at);
            return caseSensitive ? part : folded(part);
        };
        budget.elements(dict.size());
        return new ListValue(sorted(dict.pairs(), key, bound.flag("reverse", false)), dict.content());
    }

    private Value unique(Value value, Bound bound) {
        UnaryOperator<Value> key = key(bound);
        Set<Object> seen = new HashSet<>();
        List<Value> items = operations.list(value);
        items.removeIf(item -> !seen.add(Value.Key.of(key.apply(item))));
        return new Once(items);
    }

    private Value extreme(Value value, String name, Bound bound) {
        UnaryOperator<Value> key = key(bound);
        Value best = null;
        for (Value item : operations.list(value)) {
            if (best == null || operations.ordered(name.equals("min") ? "<" : ">", key.apply(item), key.apply(best))) {
                best = item;
            }
        }
        return best != null ? best : new Undefined("No aggregated item, sequence was empty.");
    }

    private Value sum(Value value, Bound bound) {
        UnaryOperator<Value> getter = getter(bound.get("attribute"), null);
        Value total = bound.get("start", Int.of(0));
        for (Value item : operations.list(value)) {
            total = arithmetic.binary("+", total, getter.apply(item));
        }
        return total;
    }

    private Value batch(Value value, Bound bound) {
        bound.require("linecount");
        int size = bound.integer("linecount", 1);
        if (size < 1) {
            throw Fault.value("batch needs a size of at least 1");
        }
        List<Value> items = operations.list(value);
        List<Value> batches = new ArrayList<>();
        for (int begin = 0; begin < items.size(); begin += Math.min(size, items.size())) {
            List<Value> batch =
                    new ArrayList<>(items.subList(begin, (int) Math.min(items.size(), begin + (long) size)));
            fill(batch, size, bound.get("fill_with"));
            batches.add(new ListValue(batch));
        }
        return new Once(batches);
    }

    private void fill(List<Value> items, int size, @Nullable Value with) {
        if (with != null && !(with instanceof None) && items.size() < size) {
            budget.elements(size);
            items.addAll(Collections.nCopies(size - items.size(), with));
        }
    }

    private Value slice(Value value, Bound bound) {
        bound.require("slices");
        int count = bound.integer("slices", 1);
        if (count < 1) {
            throw Fault.of("ZeroDivisionError", "integer division or modulo by zero");
        }
        budget.elements(count);
        List<Value> items = operations.list(value);
        int each = items.size() / count;
        int longer = items.size() % count;
        List<Value> slices = new ArrayList<>();
        int begin = 0;
        for (int i = 0; i < count; i++) {
            int end = begin + each + (i < longer ? 1 : 0);
            List<Value> slice = new ArrayList<>(items.subList(begin, end));
            if (i >= longer) {
                fill(slice, slice.size() + 1, bound.get("fill_with"));
            }
            slices.add(new ListValue(slice));
            begin = end;
        }
        return new Once(slices);
    }
}
