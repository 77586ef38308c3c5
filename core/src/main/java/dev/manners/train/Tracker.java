package dev.manners.train;
import java.util.Map;
public interface Tracker { void metrics(long step, Map<String, Double> values); void sample(long step, String prompt, String completion, Map<String, ?> extra); void event(String name, Map<String, ?> details); void progress(long step, long total, Map<String, Double> shown); static Tracker none(){ return new Tracker(){ public void metrics(long s, Map<String,Double> v){} public void sample(long s,String p,String c,Map<String,?> e){} public void event(String n, Map<String,?> d){} public void progress(long s,long t,Map<String,Double> v){} }; } }
