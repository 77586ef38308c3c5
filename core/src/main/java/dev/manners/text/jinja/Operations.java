package dev.manners.text.jinja;

import dev.manners.text.jinja.Value.Bool;
import dev.manners.text.jinja.Value.Dict;
import dev.manners.text.jinja.Value.Int;
import dev.manners.text.jinja.Value.ListValue;
import dev.manners.text.jinja.Value.None;
import dev.manners.text.jinja.Value.Once;
import dev.manners.text.jinja.Value.Sequence;
import dev.manners.text.jinja.Value.Tuple;
import dev.manners.text.jinja.Value.Undefined;
import dev.manners.text.jinja.Value.View;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// What Python does with values whatever their type: truth, equality, order, membership, iteration, slices.
final class Operations {

    private final Budget budget;

    Operations(Budget budget) {
        this.budget = budget;
    }

    boolean truth(Value value) {
        return switch (value) {
            case Bool b -> b.value();
            case None n -> false;
            case Undefined u -> false;
            case Int i -> i.value().signum() != 0;
            case Value.Real f -> f.value() != 0;
            case Str s -> !s.isEmpty();
            case Sequence s -> !s.items().isEmpty();
            case Dict d -> d.size() > 0;
            case View v -> !v.items().isEmpty();
            default -> true;
        };
    }

    @SuppressWarnings("ReferenceEquality") // What has no value of its own, a function say, equals only itself.
    boolean equal(Value a, Value b) {
        budget.enter();
        boolean equal = switch (a) {
            case Str s -> b instanceof Str t && sameText(s.text(), t.text());
            case Int i -> numbersEqual(a, b);
            case Bool i -> numbersEqual(a, b);
            case Value.Real i -> numbersEqual(a, b);
            case None n -> b instanceof None;
            case Undefined u -> b instanceof Undefined;
            case ListValue l -> b instanceof ListValue m && itemsEqual(l.items(), m.items());
            case Tuple t -> b instanceof Tuple u && itemsEqual(t.items(), u.items());
            case Value.Range r -> b instanceof Value.Range s && itemsEqual(r.items(), s.items());
            case Dict d -> b instanceof Dict e && dictsEqual(d, e);
            default -> a == b;
        };
        budget.leave();
        return equal;
    }

    private boolean sameText(String a, String b) {
        if (a.length() != b.length()) {
            return false;
        }
        budget.scan(a.length());
        return a.equals(b);
    }

    private static boolean numbersEqual(Value a, Value b) {
        Integer order = numericOrder(a, b);
        return order != null && order == 0;
    }

    private boolean itemsEqual(List<Value> a, List<Value> b) {
        if (a.size() != b.size()) {
            return false;
        }
        for (int i = 0; i < a.size(); i++) {
            if (!equal(a.get(i), b.get(i))) {
                return false;
            }
        }
        return true;
    }

    private boolean dictsEqual(Dict a, Dict b) {
        if (a.size() != b.size()) {
            return false;
        }
        for (Map.Entry<Value, Value> entry : a.entries()) {
            Value other = b.get(entry.getKey());
            if (other == null || !equal(entry.getValue(), other)) {
                return false;
            }
        }
        return true;
    }

    /// Null if one is not a number; 2 if they have no order, as nan.
    private static @Nullable Integer numericOrder(Value a, Value b) {
        if (!isNumber(a) || !isNumber(b)) {
            return null;
        }
        if (a instanceof Value.Real || b instanceof Value.Real) {
            double x = Arithmetic.asDouble(a);
            double y = Arithmetic.asDouble(b);
            if (Double.isNaN(x) || Double.isNaN(y)) {
                return 2;
            }
            if (Double.isInfinite(x) || Double.isInfinite(y)) {
                return Double.compare(x, y);
            }
            return exact(a).compareTo(exact(b));
        }
        return Arithmetic.asInteger(a).compareTo(Arithmetic.asInteger(b));
    }

    private static BigDecimal exact(Value number) {
        return number instanceof Value.Real f
                ? new BigDecimal(f.value())
                : new BigDecimal(Arithmetic.asInteger(number));
    }

    static boolean isNumber(Value value) {
        return value instanceof Int || value instanceof Value.Real || value instanceof Bool;
    }

    /// `a operator b` for `<`, `<=`, `>`, `>=`.
    boolean ordered(String operator, Value a, Value b) {
        int order = order(operator, a, b);
        return order != 2
                && switch (operator) {
                    case "<" -> order < 0;
                    case "<=" -> order <= 0;
                    case ">" -> order > 0;
                    default -> order >= 0;
                };
    }

    /// For sorting.
    int order(Value a, Value b) {
        int order = order("<", a, b);
        return order == 2 ? 0 : order;
    }

    private int order(String operator, Value a, Value b) {
        budget.enter();
        int order;
        Integer numeric = numericOrder(a, b);
        if (numeric != null) {
            order = numeric;
        } else if (a instanceof Undefined u) {
            throw u.fault();
        } else if (b instanceof Undefined u) {
            throw u.fault();
        } else if (a instanceof Str s && b instanceof Str t) {
            budget.scan(Math.min(s.text().length(), t.text().length()));
            order = compareCodePoints(s.text(), t.text());
        } else if ((a instanceof ListValue && b instanceof ListValue) || (a instanceof Tuple && b instanceof Tuple)) {
            order = orderItems(operator, ((Sequence) a).items(), ((Sequence) b).items());
        } else {
            throw Fault.type(
                    "'" + operator + "' not supported between instances of '" + a.type() + "' and '" + b.type() + "'");
        }
        budget.leave();
        return order;
    }

    private int orderItems(String operator, List<Value> a, List<Value> b) {
        for (int i = 0; i < Math.min(a.size(), b.size()); i++) {
            if (!equal(a.get(i), b.get(i))) {
                return order(operator, a.get(i), b.get(i));
            }
        }
        return Integer.compare(a.size(), b.size());
    }

    private static int compareCodePoints(String a, String b) {
        int common = Math.min(a.length(), b.length());
        for (int i = 0; i < common; i++) {
            char x = a.charAt(i);
            char y = b.charAt(i);
            if (x != y) {
                boolean bothPlain = Character.isSurrogate(x) == Character.isSurrogate(y);
                return bothPlain ? Character.compare(x, y) : Character.isSurrogate(x) ? 1 : -1;
            }
        }
        return Integer.compare(a.length(), b.length());
    }

    boolean contains(Value container, Value item) {
        return switch (container) {
            case Str s -> {
                if (item instanceof Undefined u) {
                    throw Fault.type("'in <string>' requires string as left operand, not " + u.type());
                }
                if (!(item instanceof Str part)) {
                    throw Fault.type("'in <string>' requires string as left operand, not " + item.type());
                }
                yield Search.indexOf(budget, s.text(), part.text(), 0) >= 0;
            }
            case Dict d -> lookUp(d, item) != null;
            case Sequence s -> anyEqual(s.items().iterator(), item);
            case View v -> anyEqual(v.items().iterator(), item);
            case Once o -> anyEqual(o.items(), item);
            case Undefined u -> false;
            default -> throw Fault.type("argument of type '" + container.type() + "' is not iterable");
        };
    }

    @Nullable
    Value lookUp(Dict dict, Value key) {
        budget.scan(key instanceof Str s ? s.text().length() : 0);
        return dict.get(key);
    }

    private boolean anyEqual(Iterator<Value> items, Value wanted) {
        while (items.hasNext()) {
            if (equal(items.next(), wanted)) {
                return true;
            }
        }
        return false;
    }

    Iterator<Value> iterate(Value value) {
        return switch (value) {
            case Str s -> characters(s).iterator();
            case Sequence s -> s.items().iterator();
            case Dict d -> {
                budget.elements(d.size());
                yield d.keys().iterator();
            }
            case View v -> v.items().iterator();
            case Once o -> o.items();
            case Undefined u -> Collections.emptyIterator();
            default -> throw Fault.type("'" + value.type() + "' object is not iterable");
        };
    }

    /// A list of its own of whatever can be walked.
    List<Value> list(Value value) {
        List<Value> items = new ArrayList<>();
        Iterator<Value> iterator = iterate(value);
        while (iterator.hasNext()) {
            budget.elements(1);
            items.add(iterator.next());
        }
        return items;
    }

    private List<Value> characters(Str s) {
        String text = s.text();
        // A character on its own weighs as much as a short string.
        budget.allocate(Math.min(text.length() * 16L, Budget.STRING));
        budget.elements(text.length());
        List<Value> characters = new ArrayList<>(text.length());
        for (int i = 0; i < text.length(); ) {
            int next = text.offsetByCodePoints(i, 1);
            characters.add(s.slice(i, next));
            i = next;
        }
        return characters;
    }

    int length(Value value) {
        return switch (value) {
            case Str s -> {
                budget.scan(s.text().length());
                yield s.length();
            }
            case Sequence s -> s.items().size();
            case Dict d -> d.size();
            case View v -> v.items().size();
            case Undefined u -> 0;
            case Value.LoopValue l -> l.loop().length();
            default -> throw Fault.type("object of type '" + value.type() + "' has no len()");
        };
    }

    /// `value[start:stop:step]`
    Value slice(Value value, @Nullable Value start, @Nullable Value stop, @Nullable Value step) {
        int length = switch (value) {
            case Str s -> length(s);
            case Sequence s -> s.items().size();
            case Undefined u -> throw u.fault();
            case Dict d -> throw Fault.type("unhashable type: 'slice'");
            default -> throw Fault.type("'" + value.type() + "' object is not subscriptable");
        };
        long by = index(step, 1);
        if (by == 0) {
            throw Fault.value("slice step cannot be zero");
        }
        long first = clamp(index(start, by > 0 ? 0 : Long.MAX_VALUE), length, by);
        long last = stop == null || stop instanceof None ? (by > 0 ? length : -1) : clamp(index(stop, 0), length, by);
        if (value instanceof Str s && by == 1) {
            if (first >= last) {
                return Str.EMPTY.safe(s.safe());
            }
            int begin = s.text().offsetByCodePoints(0, (int) first);
            int end = s.text().offsetByCodePoints(begin, (int) (last - first));
            budget.allocate(end - begin);
            return s.slice(begin, end);
        }
        List<Value> items = value instanceof Str s ? characters(s) : ((Sequence) value).items();
        List<Value> picked = new ArrayList<>();
        for (long i = first; by > 0 ? i < last : i > last; i += by) {
            budget.elements(1);
            picked.add(items.get((int) i));
            if (Math.abs(by) > length) {
                break;
            }
        }
        if (value instanceof Str) {
            Text text = new Text(budget);
            picked.forEach(character -> text.append((Str) character));
            return text.toStr();
        }
        return value instanceof Tuple ? new Tuple(picked) : new ListValue(picked, value.content());
    }

    private static long clamp(long index, int length, long step) {
        long from = index < 0 ? index + length : index;
        return step > 0 ? Math.clamp(from, 0, length) : Math.clamp(from, -1, length - 1);
    }

    private static long index(@Nullable Value value, long otherwise) {
        if (value == null || value instanceof None) {
            return otherwise;
        }
        if (value instanceof Int || value instanceof Bool) {
            return Arithmetic.asInteger(value)
                    .max(java.math.BigInteger.valueOf(Long.MIN_VALUE / 2))
                    .min(java.math.BigInteger.valueOf(Long.MAX_VALUE / 2))
                    .longValue();
        }
        throw Fault.type("slice indices must be integers or None or have an __index__ method");
    }

    /// `value[index]` of a string or sequence, or null where there is none; negative counts from the end.
    @Nullable
    Value element(Value value, Value index) {
        if (!(index instanceof Int || index instanceof Bool)) {
            return null;
        }
        int length =
                value instanceof Str s ? length(s) : ((Sequence) value).items().size();
        long at = index(index, 0);
        at = at < 0 ? at + length : at;
        if (at < 0 || at >= length) {
            return null;
        }
        if (value instanceof Str s) {
            int begin = s.text().offsetByCodePoints(0, (int) at);
            return s.slice(begin, s.text().offsetByCodePoints(begin, 1));
        }
        return ((Sequence) value).items().get((int) at);
    }
}
